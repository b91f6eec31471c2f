package schemas_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/latido/latido/schemas"
)

// TestCodes reads the list itself, so that the promise about ranges holds for every code that will ever be added.
func TestCodes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("errors.json")
	if err != nil {
		t.Fatal(err)
	}
	var listed []struct {
		Code        schemas.Code
		Reason      string
		Status      int
		Description string
	}
	if err := json.Unmarshal(text, &listed); err != nil {
		t.Fatal(err)
	}
	reasons := map[string]bool{}
	before := schemas.Code(3999)
	for _, entry := range listed {
		if entry.Code <= before || entry.Code > 4999 {
			t.Errorf("%d is out of order or range", entry.Code)
		}
		if entry.Code.Reason() != entry.Reason || entry.Code.Status() != entry.Status {
			t.Errorf("%d is %s %d, listed as %s %d", entry.Code, entry.Code.Reason(), entry.Code.Status(), entry.Reason, entry.Status)
		}
		if repeatable := entry.Status >= 500 || entry.Status == 429; entry.Code.Retry() != repeatable {
			t.Errorf("%d %s: retry is %t, yet the status is %d", entry.Code, entry.Reason, entry.Code.Retry(), entry.Status)
		}
		if reasons[entry.Reason] || entry.Description == "" {
			t.Errorf("%d %s repeats a reason, or lacks a description", entry.Code, entry.Reason)
		}
		reasons[entry.Reason], before = true, entry.Code
	}
}

func TestUnknownCode(t *testing.T) {
	t.Parallel()
	if code := schemas.Code(4999); code.Reason() != "internal" || code.Status() != 500 || !code.Retry() {
		t.Errorf("got %s %d %t", code.Reason(), code.Status(), code.Retry())
	}
	if schemas.Code(4499).Retry() {
		t.Error("a code below 4500 asks to be repeated")
	}
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	taken := schemas.Refuse(schemas.Taken, "%s was first", "olga")
	wrapped := fmt.Errorf("accept r1: %w", taken)
	if want := "refused: 4091 taken: olga was first"; taken.Error() != want {
		t.Errorf("got %q, want %q", taken, want)
	}
	if !errors.Is(wrapped, schemas.Refusal{Code: schemas.Taken}) || errors.Is(wrapped, schemas.Refusal{Code: schemas.Closed}) {
		t.Error("errors.Is does not compare codes")
	}
	if got := schemas.RefusalOf(wrapped); got != taken {
		t.Errorf("got %v", got)
	}
	if got := schemas.RefusalOf(errors.New("disk: full")); got != (schemas.Refusal{Code: schemas.Internal}) {
		t.Errorf("an error of ours shows: %v", got)
	}
}
