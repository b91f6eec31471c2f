package bridge

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/topology/bustest"
)

// Endpoints implements [wire.Endpointer]: what stands in the body is said on a channel,
// a line each.
func (lines) Endpoints() []wire.Endpoint {
	return []wire.Endpoint{{Method: http.MethodPost, Path: "/said/:channel/lines", Read: func(asked wire.Asked) (wire.Exchange, error) {
		if asked.Header("Content-Type") != "text/x-lines" {
			return wire.Exchange{}, &wire.AnswerError{Status: http.StatusTeapot, ContentType: "text/x-lines", Body: []byte("NO lines for " + asked.Query("as"))}
		}
		x := wire.Exchange{Token: asked.Header("X-Token"), Answer: answerLines}
		for line := range strings.Lines(string(asked.Body)) {
			x.Requests = append(x.Requests, wire.Publish{Channel: asked.Part("channel"), Event: "said", Data: fmt.Appendf(nil, "%q", strings.TrimSpace(line))})
		}
		return x, nil
	}}}
}

func answerLines(told []wire.Notice) wire.Answer {
	answer := wire.Answer{Status: http.StatusAccepted, ContentType: "text/x-lines"}
	for _, notice := range told {
		switch n := notice.(type) {
		case wire.OK:
			answer.Body = append(answer.Body, "SAID\n"...)
		case wire.Error:
			answer.Status, answer.Body = http.StatusConflict, fmt.Appendf(answer.Body, "NO %d\n", n.Code)
		}
	}
	return answer
}

// A dialect's own address answers in its own words, whoever asks and however much.
func TestADialectAnswersOverHTTP(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{Limits: session.Limits{UserPublishes: 5}})
	eva := dial(t, b, "eva")
	eva.must(`"op":"subscribe","channel":"app:a b/c"`)
	ana := tokenOf(t, "ana", time.Hour, "w", "app:a b/c")
	post := func(path, kind, token, body string) (status int, said string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.Addr()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", kind)
		request.Header.Set("X-Token", token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		if kind := response.Header.Get("Content-Type"); kind != "text/x-lines" {
			t.Errorf("answered in %s", kind)
		}
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	const path = "/said/app:a%20b%2Fc/lines"
	no := func(code schemas.Code) string { return fmt.Sprintf("NO %d\n", code) }
	for _, step := range []struct {
		path, kind, token, body string
		status                  int
		said                    string
	}{
		{path, "text/x-lines", ana, "one\ntwo", 202, "SAID\nSAID\n"},
		{path + "?as=poem", "text/plain", ana, "three", 418, "NO lines for poem"},
		{path, "text/x-lines", "nonsense", "three\nfour", 409, no(schemas.Unauthenticated)},
		{path, "text/x-lines", "", "three", 409, no(schemas.Unauthenticated)},
		{"/said/app:b/lines", "text/x-lines", ana, "three", 409, no(schemas.Forbidden)},
		{"/said/nothing/lines", "text/x-lines", ana, "three", 409, no(schemas.UnknownKind)},
		{path, "text/x-lines", ana, "", 202, ""},
	} {
		if status, said := post(step.path, step.kind, step.token, step.body); status != step.status || said != step.said {
			t.Errorf("%s %q: %d %q, want %d %q", step.path, step.body, status, said, step.status, step.said)
		}
	}
	for _, want := range []string{"one", "two"} {
		if event := eva.expect("event"); event["data"] != want || event["from"] != "ana" {
			t.Errorf("told %v, want %s", event, want)
		}
	}
	if status, said := post(path, "text/x-lines", ana, strings.Repeat("much\n", 100)); status != 409 || !strings.Contains(said, no(schemas.RateLimited)) {
		t.Errorf("%d %.60q: nobody limits it", status, said)
	}
}
