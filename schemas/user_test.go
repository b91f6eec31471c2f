package schemas_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/latido/latido/schemas"
)

// Whom a schema lets be named can have a token, and the other way round.
func TestSchemasAndTokensAgreeOnUsers(t *testing.T) {
	t.Parallel()
	invite, err := schemas.Command("room", "invite")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{
		"ana", "a b", "service:ops", "*", strings.Repeat("a", 128), strings.Repeat("a", 129), strings.Repeat("ñ", 64), strings.Repeat("ñ", 65),
		"", " ", "luis ", " luis", "lu\tis", "luis\n", "lu\u200bis", "luis\u00a0", "lu\u2028is", "lu\ufffdis", "josé", "jose\u0301",
	} {
		body, err := json.Marshal(map[string]string{"user": id})
		if err != nil {
			t.Fatal(err)
		}
		if named, may := invite.Validate(body), schemas.CheckUser(id); (named == nil) != (may == nil) {
			t.Errorf("%q: the schema says %v, the check of tokens %v", id, named, may)
		}
	}
}
