package subjects_test

import (
	"slices"
	"testing"

	"github.com/latido/latido/subjects"
)

func TestReadMembership(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]subjects.Membership{
		`{"role":"member","seq":7}`:   {Role: "member", Seq: 7},
		`{"role":"member"}`:           {Role: "member"},
		`{"role":"","seq":7}`:         {Seq: 7},
		``:                            {},
		`member`:                      {},
		`null`:                        {},
		`["member"]`:                  {},
		`{"role":"member","seq":-1}`:  {},
		`{"seq":7,"role":true}`:       {},
		`{"role":"member","seq":7}x`:  {},
		"\xff\xfe":                    {},
		`{"role":"member","seq":"7"}`: {},
	} {
		if got := subjects.ReadMembership([]byte(value)); got != want {
			t.Errorf("%q is %+v, want %+v", value, got, want)
		}
	}
}

func TestEnding(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		ending subjects.Ending
		data   string
		want   []string
	}{
		{subjects.Ending{}, `{"user":"ana","":true}`, nil},
		{subjects.Ending{Users: "user"}, `{"user":"ana"}`, []string{"ana"}},
		{subjects.Ending{Users: "user"}, `{"user":""}`, nil},
		{subjects.Ending{Users: "user"}, `{"User":"ana"}`, nil},
		{subjects.Ending{Users: "user"}, `ana`, nil},
		{subjects.Ending{Users: "user"}, `{"user":7}`, nil},
		{subjects.Ending{Users: "removed"}, `{"removed":["ana",7,"luis",""]}`, []string{"ana", "luis"}},
		{subjects.Ending{Users: "removed", Public: "public"}, `{"public":true}`, nil},
		{subjects.Ending{Users: "removed", Public: "public"}, `{"removed":["ana"],"public":false}`, []string{"ana", ""}},
		{subjects.Ending{Users: "removed", Public: "public"}, `{}`, []string{""}},
	} {
		if got := row.ending.Of([]byte(row.data)); !slices.Equal(got, row.want) {
			t.Errorf("%+v of %s: %q, want %q", row.ending, row.data, got, row.want)
		}
	}
}
