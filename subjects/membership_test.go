package subjects_test

import (
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
