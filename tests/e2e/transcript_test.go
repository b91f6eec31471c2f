package e2e

import (
	"slices"
	"strings"
	"testing"
)

const transcript = "[11:22] <ana> hola, ¿qué tal?\n" +
	"=== sangria [n=jaime@core.fluendo.com]  has left #ubuntu [\"Leaving\"]\n" +
	"=== LoPMX [n=lopmx@dsl.example]  has joined #ubuntu\n" +
	"=== mode/#ubuntu [-oo rob mdz]  by ChanServ\n" +
	"[11:23] <zcat[1] >  two spaces, a \ttab, a \x01control and an end \r\n" +
	"[11:23] <LoPMX> \n" +
	"[11:23] <LoPMX>\n" +
	"[11:23]  * ana sits and listens\n" +
	"=== ana is now known as ana_\n" +
	"[11:24] <ana_> [11:22] <bob> quoted\n" +
	"[11:24] <ana> another person\n" +
	"\n" +
	"=== leleobhz torrenting desktop i386\n" +
	"[11:25] <ana_> no line feed at the end"

func TestParseTranscript(t *testing.T) {
	t.Parallel()
	lines, err := ParseTranscript(strings.NewReader(transcript))
	if err != nil {
		t.Fatal(err)
	}
	want := []Line{
		{Said, "ana", "hola, ¿qué tal?", ""},
		{Left, "sangria", "", ""},
		{Joined, "LoPMX", "", ""},
		{Said, "zcat[1]", " two spaces, a \ttab, a \x01control and an end \r", ""},
		{Said, "LoPMX", "", ""},
		{Said, "LoPMX", "", ""},
		{Said, "ana", "* ana sits and listens", ""},
		{Renamed, "ana", "", "ana_"},
		{Said, "ana_", "[11:22] <bob> quoted", ""},
		{Said, "ana", "another person", ""},
		{Said, "ana_", "no line feed at the end", ""},
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%+v\nwant\n%+v", lines, want)
	}
}

func TestCastFollowsPersonsThroughTheirNames(t *testing.T) {
	t.Parallel()
	lines, err := ParseTranscript(strings.NewReader(transcript))
	if err != nil {
		t.Fatal(err)
	}
	cast := CastOf(lines)
	said := map[string][]string{}
	var there []string
	for _, part := range cast.Parts {
		said[part.User] = part.Texts
		if part.There {
			there = append(there, part.User)
		}
	}
	if want := []string{"ana", "sangria", "zcat[1]", "ana~2"}; !slices.Equal(there, want) {
		t.Errorf("there from the start: %q, want %q", there, want)
	}
	if want := []string{"hola, ¿qué tal?", "* ana sits and listens", "[11:22] <bob> quoted", "no line feed at the end"}; !slices.Equal(said["ana"], want) {
		t.Errorf("ana said %q, want %q", said["ana"], want)
	}
	if want := []string{"another person"}; !slices.Equal(said["ana~2"], want) {
		t.Errorf("the second ana said %q, want %q", said["ana~2"], want)
	}
}
