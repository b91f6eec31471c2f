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
	only := subjects.Ending{Only: []string{"keeper", "members"}, Public: "public"}
	for _, row := range []struct {
		ending subjects.Ending
		data   string
		want   []string // of ana, luis, eva and everyone
	}{
		{subjects.Ending{}, `{"user":"ana","":true}`, nil},
		{subjects.Ending{Users: "user"}, `{"user":"ana"}`, []string{"ana"}},
		{subjects.Ending{Users: "user"}, `{"user":""}`, nil},
		{subjects.Ending{Users: "user"}, `{"User":"ana"}`, nil},
		{subjects.Ending{Users: "user"}, `ana`, nil},
		{subjects.Ending{Users: "user"}, `{"user":7}`, nil},
		{subjects.Ending{Users: "user"}, `{"user":["ana",7,"luis",""]}`, []string{"ana", "luis"}},
		{only, `{"keeper":"ana","members":["luis"]}`, []string{"eva", ""}},
		{only, `{"members":["luis",""],"public":true}`, []string{"ana", "eva"}},
		{only, `{"members":[],"public":"true"}`, []string{"ana", "luis", "eva", ""}},
		{only, `{}`, []string{"ana", "luis", "eva", ""}},
		{only, `{"keeper":"ana","members":{"luis":true}}`, nil},
		{only, `["ana"]`, nil},
	} {
		var got []string
		ended := row.ending.Of([]byte(row.data))
		for _, user := range []string{"ana", "luis", "eva", ""} {
			if ended.Has(user) {
				got = append(got, user)
			}
		}
		if !slices.Equal(got, row.want) || ended.Any() != (row.want != nil) {
			t.Errorf("%+v of %s: %q, want %q", row.ending, row.data, got, row.want)
		}
	}
}
