package schemas_test

import (
	"strings"
	"testing"

	"github.com/latido/latido/schemas"
)

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 4001)
	for _, row := range []struct {
		kind, command, data string
		code                schemas.Code
		message             string
	}{
		{"room", "post", ``, schemas.InvalidJSON, "it is not JSON: it ends too early"},
		{"room", "post", `{"text":"a"} {}`, schemas.InvalidJSON, "something follows the JSON"},
		{"room", "post", "{\"text\":\"\xff\"}", schemas.InvalidJSON, "text: the text is not UTF-8"},
		{"room", "post", strings.Repeat("[", 65), schemas.InvalidJSON, "[0][0]"},
		{"tracking", "report", `{"lat":1e999}`, schemas.InvalidJSON, "lat: no double holds this number"},
		{"room", "post", `{"text":"\u0000"}`, schemas.InvalidJSON, "text: U+0000 cannot be stored"},
		{"room", "post", `null`, schemas.InvalidData, "data: got null, want object"},
		{"room", "post", `{}`, schemas.InvalidData, "missing property 'text'"},
		{"room", "post", `{"text":null}`, schemas.InvalidData, "text: got null, want string"},
		{"room", "post", `{"text":"` + long + `"}`, schemas.InvalidData, "text: maxLength: got 4,001, want 4,000"},
		{"room", "post", `{"text":"a","TEXT":"b"}`, schemas.InvalidData, "additional properties 'TEXT' not allowed"},
		{"room", "post", `{"text":"a","attachments":[{"url":"javascript:alert(1)"}]}`, schemas.InvalidData, "attachments.0.url: 'javascript:alert(1)' does not match pattern"},
		{"room", "open", `{"members":[""]}`, schemas.InvalidData, "members.0: '' is not valid user: a user's id has 1 to 128 bytes"},
		{"room", "open", `{"members":[` + strings.Repeat(`"a",`, 1000) + `"a"]}`, schemas.InvalidData, "members: maxItems: got 1,001, want 1,000"},
		{"room", "join", `{"by":"eva"}`, schemas.InvalidData, "additional properties 'by' not allowed"},
		{"tracking", "report", `{"lat":90.01,"lng":0,"at":"2026-03-01T10:00:00Z"}`, schemas.InvalidData, "lat: maximum: got 90.01, want 90"},
		{"tracking", "report", `{"lat":0,"lng":-181,"at":"2026-03-01T10:00:00Z"}`, schemas.InvalidData, "lng: minimum: got -181, want -180"},
		{"tracking", "report", `{"lat":"0","lng":0,"at":"2026-03-01T10:00:00Z"}`, schemas.InvalidData, "lat: got string, want number"},
		{"tracking", "report", `{"lat":0,"lng":0,"at":"yesterday"}`, schemas.InvalidData, "at: 'yesterday' is not valid date-time"},
		{"ops", "request", `{"zona":"","precio":1}`, schemas.InvalidData, "zona: minLength: got 0, want 1"},
		{"ops", "request", `{"zona":"centro","precio":-1}`, schemas.InvalidData, "precio: minimum: got -1, want 0"},
		{"ops", "assign", `{"room":"42","tracking":"tracking:r1"}`, schemas.InvalidData, "room: '42' does not match pattern"},
	} {
		schema, err := schemas.Command(row.kind, row.command)
		if err != nil {
			t.Fatal(err)
		}
		refusal := schemas.RefusalOf(schema.Validate([]byte(row.data)))
		if refusal.Code != row.code || !strings.HasPrefix(refusal.Message, row.message) {
			t.Errorf("%s %s %.60s: got %d %q, want %d %q", row.kind, row.command, row.data, refusal.Code, refusal.Message, row.code, row.message)
		}
	}
}

func TestValidateAccepts(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ kind, event, data string }{
		{"room", "new_message", `{"text":"","attachments":[]}`},
		{"room", "new_message", `{"text":"\u0001\u001b[31m\n","attachments":[]}`},
		{"room", "new_message", `{"text":"` + strings.Repeat("é", 4000) + `","attachments":[]}`},
		{"room", "new_message", `{"text":"` + strings.Repeat("[", 100) + `\"[","attachments":[]}`},
		{"room", "typing", ` {} `},
		{"tracking", "coords_update", `{"lat":-90,"lng":180,"at":"2026-03-01T12:00:00.123+02:00"}`},
		{"app", "cursor", `[1e3,null,{"x":"y"}]`},
		{"app", "cursor", strings.Repeat("[", 64) + strings.Repeat("]", 64)},
	} {
		schema, err := schemas.Event(row.kind, row.event)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate([]byte(row.data)); err != nil {
			t.Errorf("%s %s %.60s: %v", row.kind, row.event, row.data, err)
		}
	}
}

// TestMessageIsOneShortLine: what a refusal quotes was chosen by the sender.
func TestMessageIsOneShortLine(t *testing.T) {
	t.Parallel()
	schema, err := schemas.Command("room", "post")
	if err != nil {
		t.Fatal(err)
	}
	data := `{"text":"a","` + strings.Repeat(`\n`, 50) + strings.Repeat("ñ", 5000) + `":1}`
	message := schemas.RefusalOf(schema.Validate([]byte(data))).Message
	if strings.ContainsAny(message, "\n\r") || len([]rune(message)) > 201 {
		t.Errorf("got %q", message)
	}
}

func FuzzValidate(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `{"text":"a","attachments":[{"url":"https://a"}]}`, `{"members":["a"],"public":true}`,
		`{"lat":1e308,"lng":-0,"at":"2026-02-30T25:61:61Z"}`, `{"id":1,"op":"subscribe","channel":"room:42","last":"1h"}`, "[[[[\"\\",
	} {
		f.Add(seed)
	}
	var all []*schemas.Schema
	for _, find := range []func() (*schemas.Schema, error){
		func() (*schemas.Schema, error) { return schemas.Command("room", "open") },
		func() (*schemas.Schema, error) { return schemas.Command("room", "post") },
		func() (*schemas.Schema, error) { return schemas.Command("tracking", "report") },
		func() (*schemas.Schema, error) { return schemas.Event("app", "any") },
		func() (*schemas.Schema, error) { return schemas.Request("subscribe") },
	} {
		schema, err := find()
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, schema)
	}
	f.Fuzz(func(t *testing.T, data string) {
		for _, schema := range all {
			err := schema.Validate([]byte(data))
			if err == nil {
				continue
			}
			if code := schemas.RefusalOf(err).Code; code != schemas.InvalidJSON && code != schemas.InvalidData {
				t.Errorf("%s: %v", schema.Name, err)
			}
		}
	})
}
