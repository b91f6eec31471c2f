package bridge

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/latido/latido/subjects/topology/bustest"
)

// Dev mode gives any role to anyone, so nothing but this machine gets in: not a
// page that a developer visits, not a name that was made to mean 127.0.0.1, and
// nobody through a proxy.
func TestDevModeIsForThisMachine(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{Dev: true})
	_, port, _ := strings.Cut(b.Addr(), ":")
	for name, test := range map[string]struct {
		host   string
		header [2]string
		code   int // 0: it gets in
	}{
		"no page":             {b.Addr(), [2]string{}, 0},
		"a page served here":  {b.Addr(), [2]string{"Origin", "http://" + b.Addr()}, 0},
		"a page of Vite":      {b.Addr(), [2]string{"Origin", "http://localhost:5173"}, 0},
		"a page by IPv6":      {b.Addr(), [2]string{"Origin", "https://[::1]:3000"}, 0},
		"localhost":           {"localhost:" + port, [2]string{}, 0},
		"localhost, no port":  {"LocalHost", [2]string{}, 0},
		"IPv6":                {"[::1]:" + port, [2]string{}, 0},
		"another loopback":    {"127.8.8.8:" + port, [2]string{}, 0},
		"a foreign page":      {b.Addr(), [2]string{"Origin", "https://evil.example"}, 4032},
		"a page like ours":    {b.Addr(), [2]string{"Origin", "http://localhost.evil.example"}, 4032},
		"a page by a name":    {b.Addr(), [2]string{"Origin", "http://127.0.0.1.evil.example"}, 4032},
		"a page with a user":  {b.Addr(), [2]string{"Origin", "http://localhost@evil.example"}, 4032},
		"a page of nowhere":   {b.Addr(), [2]string{"Origin", "null"}, 4032},
		"a file":              {b.Addr(), [2]string{"Origin", "file://"}, 4032},
		"another machine":     {b.Addr(), [2]string{"Origin", "http://192.168.1.7:8080"}, 4032},
		"rebound":             {"evil.example:" + port, [2]string{}, 4013},
		"rebound, like ours":  {"localhost.evil.example:" + port, [2]string{}, 4013},
		"any address":         {"0.0.0.0:" + port, [2]string{}, 4013},
		"an address outside":  {"192.168.1.7:" + port, [2]string{}, 4013},
		"a page rebound":      {"evil.example", [2]string{"Origin", "http://evil.example"}, 4032},
		"proxied":             {b.Addr(), [2]string{"X-Forwarded-For", "192.0.2.7"}, 4013},
		"proxied by the host": {b.Addr(), [2]string{"X-Forwarded-Host", "localhost"}, 4013},
		"proxied by RFC 7239": {b.Addr(), [2]string{"Forwarded", "for=192.0.2.7"}, 4013},
		"proxied via":         {b.Addr(), [2]string{"Via", "1.1 proxy"}, 4013},
		"proxied by nginx":    {b.Addr(), [2]string{"X-Real-IP", "127.0.0.1"}, 4013},
	} {
		for _, door := range []struct {
			method, path, body string
			open               int
		}{
			{http.MethodPost, "/dev/token", `{"user":"ana","role":"service"}`, http.StatusOK},
			{http.MethodGet, "/api/users/ana/status", "", http.StatusUnauthorized},
			{http.MethodPost, "/api/presence/status", `{"status":"busy"}`, http.StatusUnauthorized},
			{http.MethodGet, "/ws", "", http.StatusUpgradeRequired},
		} {
			request, err := http.NewRequestWithContext(t.Context(), door.method, "http://"+b.Addr()+door.path, strings.NewReader(door.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Host = test.host
			if test.header[0] != "" {
				request.Header.Set(test.header[0], test.header[1])
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close() // it was only read
			var refusal struct {
				Code    int
				Message string
			}
			if err := json.Unmarshal(text, &refusal); err != nil {
				t.Fatalf("%s: %s: %s", name, door.path, text)
			}
			switch {
			case test.code == 4032 && response.Header.Get("Access-Control-Allow-Origin") != "":
				t.Errorf("%s: %s can be read by the page", name, door.path)
			case test.code == 0 && response.StatusCode != door.open:
				t.Errorf("%s: %s is %d: %s", name, door.path, response.StatusCode, text)
			case test.code != 0 && (refusal.Code != test.code || response.StatusCode != http.StatusForbidden || !strings.Contains(refusal.Message, "--jwt-secret")):
				t.Errorf("%s: %s is %d: %s", name, door.path, response.StatusCode, text)
			}
		}
	}
}

// What gets a token is what a token may say.
func TestDevTokensAreGood(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{Dev: true})
	for body, want := range map[string]int{
		`{"user":"ana"}`: 200, `{"user":"service:ops","role":"service"}`: 200, `{"user":"service:ops"}`: 422, `{"user":"luis "}`: 422,
		`{"user":""}`: 422, `{}`: 422, `{"user":"ana","rank":1}`: 400, `{"user":7}`: 422, `[]`: 422, ``: 422, `{"user":"lu\u200bis"}`: 422, fmt.Sprintf(`{"user":%q}`, strings.Repeat("a", 129)): 422,
		fmt.Sprintf(`{"user":"ana","name":%q}`, strings.Repeat("n", 201)): 422,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.Addr()+"/dev/token", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close() // the status is enough
		if response.StatusCode != want {
			t.Errorf("%s: %d, want %d", body, response.StatusCode, want)
		}
	}
}
