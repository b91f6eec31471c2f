package schemas_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/latido/latido/schemas"
)

func TestCanonicalTakes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ data, want string }{
		{`{}`, `{}`},
		{" \r\n\t[ ] \n", `[]`},
		{"{\n  \"b\": 1,\n  \"a\": [ 1 , 2.50, -0, 1E+2 ]\n}", `{"b":1,"a":[1,2.50,-0,1E+2]}`},
		{`12345678901234567890`, `12345678901234567890`},
		{`0.1e-300`, `0.1e-300`},
		{`"\n\"\\ 	"`, ``},
		{`" a b "`, `" a b "`},
		{`"\u00e9 é \ud83d\ude00 😀 \u2028"`, `"\u00e9 é \ud83d\ude00 😀 \u2028"`},
		{`"2026-01-01T00:00:00\u005a\/\u0022\u005C\u007f\u000a"`, `"2026-01-01T00:00:00Z/\u0022\u005C\u007f\u000a"`},
		{`{"\u0061":1,"b\/":2}`, `{"a":1,"b/":2}`},
		{`{"a":{"x":1},"b":{"x":1},"c":[{"x":1},{"x":1}]}`, `{"a":{"x":1},"b":{"x":1},"c":[{"x":1},{"x":1}]}`},
		{strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 64) + strings.Repeat("]", 64)},
		{manyKeys(300), manyKeys(300)},
	} {
		got, err := schemas.Canonical("data", []byte(row.data), 0)
		if row.want == "" {
			if err == nil {
				t.Errorf("%.60q: taken as %.60q", row.data, got)
			}
			continue
		}
		if err != nil || string(got) != row.want {
			t.Errorf("%.60q: %.60q, %v", row.data, got, err)
		}
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"key%d":%d`, i, i)
	}
	return "{" + b.String()[1:] + "}"
}

func TestCanonicalRefuses(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ data, field, message string }{
		{``, "data", "ends too early"},
		{`{"a":1} {}`, "data", "something follows"},
		{`01`, "data", "something follows"},
		{"\ufeff{}", "data", "byte order mark"},
		{`{"items":[1,{"a":2},{"a":3},{"price":1e400}]}`, "data.items[3].price", "no double"},
		{`[1e-400]`, "data[0]", "no double"},
		{`[` + strings.Repeat("9", 400) + `]`, "data[0]", "no double"},
		{`{"a":{"b c":"\ud800"}}`, `data.a["b c"]`, "surrogate"},
		{`["\ud800\u0041"]`, "data[0]", "surrogate"},
		{`["\udc00"]`, "data[0]", "surrogate"},
		{`["\u0000"]`, "data[0]", "U+0000"},
		{"[\"\x00\"]", "data[0]", "not JSON"},
		{"[\"a\nb\"]", "data[0]", "not JSON"},
		{"{\"name\":\"\xf1\"}", "data.name", "UTF-8"},
		{"{\"n\xf1\":1}", "data", "UTF-8"},
		{"{\"name\":\"\xed\xa0\x80\"}", "data.name", "UTF-8"},
		{"{\"name\":\"\xc0\x80\"}", "data.name", "UTF-8"},
		{`{"x":{"a":1,"b":2,"\u0061":3}}`, "data.x.a", "twice"},
		{`{"x":{"é":1,"\u00e9":3}}`, `data.x["é"]`, "twice"},
		{manyKeys(300)[:4] + manyKeys(300)[1:], "", "not JSON"},
		{`{"key7":0,` + manyKeys(300)[1:], "data.key7", "twice"},
		{strings.Repeat("[", 65) + strings.Repeat("]", 65), "data" + strings.Repeat("[0]", 33) + "…", "64 levels"},
		{`{"a":[1,2}`, "data.a[1]", "not JSON"},
		{`{"a":tru}`, "data.a", "not JSON"},
		{`{"a":1,}`, "data.a", "not JSON"},
		{`[1,]`, "data[1]", "not JSON"},
		{`{a:1}`, "data", "not JSON"},
		{`["\u12`, "data[0]", "too early"},
		{`["\u12"]`, "data[0]", "not JSON"},
		{`["\x"]`, "data[0]", "not JSON"},
		{`[-]`, "data[0]", "not JSON"},
		{`[1.]`, "data[0]", "not JSON"},
		{`[1e]`, "data[0]", "not JSON"},
		{`[+1]`, "data[0]", "not JSON"},
		{`NaN`, "data", "not JSON"},
	} {
		got, err := schemas.Canonical("data", []byte(row.data), 0)
		refusal := schemas.RefusalOf(cmp.Or(err, errTaken))
		if err == nil || refusal.Code != schemas.InvalidJSON || row.field != "" && refusal.Field != row.field || !strings.Contains(refusal.Message, row.message) {
			t.Errorf("%.60q: %q, %+v", row.data, got, refusal)
		}
	}
	_, err := schemas.Canonical("data", []byte(` "12345" `), 6)
	if refusal := schemas.RefusalOf(cmp.Or(err, errTaken)); refusal.Code != schemas.TooLarge || refusal.Field != "data" {
		t.Errorf("too large: %+v", refusal)
	}
	if _, err := schemas.Canonical("data", []byte(` "12345" `), 7); err != nil {
		t.Errorf("just small enough: %v", err)
	}
}

// TestCanonicalBodyHasRoomForItsData: what is data at most 64 levels deep is one level deeper in its body.
func TestCanonicalBodyHasRoomForItsData(t *testing.T) {
	t.Parallel()
	data := strings.Repeat("[", 64) + strings.Repeat("]", 64)
	if _, err := schemas.CanonicalBody([]byte(`{"data":` + data + `}`)); err != nil {
		t.Error(err)
	}
	if _, err := schemas.CanonicalBody([]byte(`{"data":[` + data + `]}`)); err == nil {
		t.Error("65 levels were taken")
	}
}

// TestCanonicalKeepsNothing: a refused body leaves nothing behind in the next one.
func TestCanonicalKeepsNothing(t *testing.T) {
	t.Parallel()
	for range 100 {
		if _, err := schemas.Canonical("data", []byte(`{"a":{"b":[{"c":`), 0); err == nil {
			t.Fatal("half a body was taken")
		}
		if got, err := schemas.Canonical("data", []byte(`{"a":{"b":[1]}}`), 0); err != nil || string(got) != `{"a":{"b":[1]}}` {
			t.Fatalf("%s, %v", got, err)
		}
	}
}

func TestCanonicalAllocatesNothing(t *testing.T) {
	data := []byte(manyKeys(40))
	// Of many runs the best: the race detector makes pools forget.
	least := 1.0
	for range 100 {
		least = min(least, testing.AllocsPerRun(1, func() { _, _ = schemas.Canonical("data", data, 0) }))
	}
	if least > 0 {
		t.Errorf("%v allocations", least)
	}
}

// FuzzCanonical: what is taken is what encoding/json takes, as the same value in its shortest form; and what is not taken
// is no JSON, or one of the few things that the function says it refuses.
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, ` [1, 2.5e3,-0] `, `{"a":"\u00e9\ud83d\ude00\n\/","b":{"a":null}}`, `"\ud800"`, `1e400`, `{"a":1,"a":2}`,
		`12345678901234567890`, "\"\x00\"", "\xef\xbb\xbf{}", strings.Repeat("[", 70), `[true,false,nul]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		got, err := schemas.Canonical("data", data, 0)
		if !bytes.Equal(before, data) {
			t.Fatalf("%q became %q", before, data)
		}
		if err != nil {
			refusal := schemas.RefusalOf(cmp.Or(err, errTaken))
			if refusal.Code != schemas.InvalidJSON || !utf8.ValidString(refusal.Message) || len([]rune(refusal.Message)) > 300 {
				t.Errorf("%q: %+v", data, refusal)
			}
			if json.Valid(data) && utf8.Valid(data) && strings.Contains(refusal.Message, "not JSON") {
				t.Errorf("%q: %v", data, err)
			}
			return
		}
		if !utf8.Valid(got) || !json.Valid(data) {
			t.Fatalf("%q was taken", data)
		}
		if want := compact(t, data); !bytes.Contains(data, []byte(`\`)) && !bytes.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", data, got, want)
		}
		if !reflect.DeepEqual(valueOf(t, got), valueOf(t, data)) {
			t.Errorf("%q: %q is another value", data, got)
		}
		if again, err := schemas.Canonical("data", got, 0); err != nil || !bytes.Equal(again, got) {
			t.Errorf("%q: %q became %q, %v", data, got, again, err)
		}
	})
}

func compact(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func valueOf(t *testing.T, data []byte) (value any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func BenchmarkCanonical(b *testing.B) {
	item := `{"id":17,"name":"a word or two","tags":["new","eco"],"at":"2026-03-01T10:00:00Z","price":12.50},`
	for name, data := range map[string]string{
		"objects": `{"items":[` + strings.TrimSuffix(strings.Repeat(item, 10), ",") + `]}`,
		"text":    `{"text":"` + strings.Repeat("some words that people write, ", 33) + `"}`,
		"unicode": `{"text":"` + strings.Repeat("слова, которые пишут ", 27) + `"}`,
		"blanks":  strings.ReplaceAll(`{"items":[`+strings.TrimSuffix(strings.Repeat(item, 10), ",")+`]}`, ",", ",\n  "),
	} {
		b.Run("valid/"+name, func(b *testing.B) {
			data := []byte(data)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				json.Valid(data)
			}
		})
		b.Run(name, func(b *testing.B) {
			data := []byte(data)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := schemas.Canonical("data", data, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

var errTaken = errors.New("it was taken")
