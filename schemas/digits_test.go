package schemas_test

import (
	"testing"

	"github.com/latido/latido/schemas"
)

func TestWholeNumbersAreSpelledInDigits(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		`1`: `1`, `1.0`: `1`, `1e3`: `1000`, `1E+3`: `1000`, `-1.50e1`: `-15`, `10e-1`: `1`, `0.0`: `0`, `-0.0`: `0`,
		`1.5`: `1.5`, `1e-1`: `1e-1`, `12345678901234567890`: `12345678901234567890`, `1e300`: `1e300`,
		`9007199254740991.0`: `9007199254740991`, `9007199254740992.0`: `9007199254740992.0`,
		`{"a":[1.0,2.5,{"b 1.0":"1.0 \" 2.0"}],"c":3e0}`: `{"a":[1,2.5,{"b 1.0":"1.0 \" 2.0"}],"c":3}`,
		`"1.0`: `"1.0`, `"\`: `"\`, `1.0.0`: `1.0.0`, `-`: `-`, ``: ``, `[1.0`: `[1`,
	} {
		if got := string(schemas.Digits([]byte(given))); got != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
	plain := []byte(`{"size":1,"lat":40.4168}`)
	if got := schemas.Digits(plain); &got[0] != &plain[0] {
		t.Error("it was copied, and nothing is to be changed")
	}
}
