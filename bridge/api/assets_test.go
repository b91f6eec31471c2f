package api

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/latido/latido/bridge/console"
	"github.com/latido/latido/bridge/sdk"
)

func TestFilesAreSentOnceAndSmall(t *testing.T) {
	t.Parallel()
	app := fiber.New()
	app.Use("/sdk", files("/sdk", sdk.Files()))
	app.Use("/", files("", console.Files()))
	get := func(method, path string, headers ...string) *http.Response {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			request.Header.Set(headers[i], headers[i+1])
		}
		response, err := app.Test(request, -1)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		return response
	}
	body := func(r io.Reader) string {
		t.Helper()
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}

	for path, contentType := range map[string]string{
		"/":                   "text/html; charset=utf-8",
		"/start.css":          "text/css; charset=utf-8",
		"/start.js":           "text/javascript; charset=utf-8",
		"/sdk/latido.js":      "text/javascript; charset=utf-8",
		"/sdk/latido.js.map":  "application/json",
		"/sdk/latido.js?v=17": "text/javascript; charset=utf-8",
	} {
		plain := get("GET", path)
		packed := get("GET", path, "Accept-Encoding", "br, gzip;q=0.8")
		text, small := body(plain.Body), body(packed.Body)
		reader, err := gzip.NewReader(strings.NewReader(small))
		if err != nil {
			t.Fatal(path, err)
		}
		alike(t, path, body(reader), text)
		if len(text) == 0 || len(small)*10 > len(text)*6 {
			t.Errorf("%s: %d of %d bytes", path, len(small), len(text))
		}
		for _, r := range []*http.Response{plain, packed} {
			alike(t, path, r.StatusCode, 200)
			alike(t, path, r.Header.Get("Content-Type"), contentType)
			alike(t, path, r.Header.Get("Cache-Control"), "no-cache")
			alike(t, path, r.Header.Get("Vary"), "Accept-Encoding")
		}
		alike(t, path, plain.Header.Get("Content-Encoding"), "")
		alike(t, path, packed.Header.Get("Content-Encoding"), "gzip")
		tag, packedTag := plain.Header.Get("ETag"), packed.Header.Get("ETag")
		if tag == packedTag || tag == "" {
			t.Errorf("%s: tags %q and %q", path, tag, packedTag)
		}
		for _, known := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			if r := get("GET", path, "If-None-Match", known); r.StatusCode != 304 || body(r.Body) != "" || r.Header.Get("ETag") != tag {
				t.Errorf("%s: %d for a browser that has %s", path, r.StatusCode, known)
			}
		}
		if r := get("GET", path, "If-None-Match", packedTag); r.StatusCode != 200 {
			t.Errorf("%s: the plain form is not the packed one", path)
		}
		if r := get("HEAD", path); r.StatusCode != 200 || body(r.Body) != "" {
			t.Errorf("%s: HEAD: %d", path, r.StatusCode)
		}
		alike(t, path, get("GET", path, "Accept-Encoding", "gzip;q=0").Header.Get("Content-Encoding"), "")
	}
	for _, absent := range []string{"/sdk/", "/sdk", "/sdk/other.js", "/nothing"} {
		if r := get("GET", absent); r.StatusCode != 404 {
			t.Errorf("%s: %d", absent, r.StatusCode)
		}
	}
	if r := get("POST", "/start.js"); r.StatusCode == 200 {
		t.Error("a file takes no posts")
	}
}

func alike[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
