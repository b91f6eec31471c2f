package bridge

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/subjects/topology/bustest"
)

func TestHandshake(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{Compress: true, Origins: []string{"https://app.example"}})
	without := func(name string) string {
		kept := ""
		for line := range strings.Lines(upgradeHeaders) {
			if !strings.HasPrefix(line, name+":") {
				kept += line
			}
		}
		return kept
	}
	const refused, deflate = "bad_handshake", "Sec-WebSocket-Extensions: "
	for name, test := range map[string]struct {
		headers string
		status  int
		holds   string // in the body, or in the headers of a switch
	}{
		"as it should be":            {upgradeHeaders, 101, "Sec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
		"of an allowed page":         {upgradeHeaders + "Origin: https://app.example\r\n", 101, ""},
		"of another page":            {upgradeHeaders + "Origin: https://evil.example\r\n", 403, `"code":4032`},
		"of no page worth a name":    {upgradeHeaders + "Origin: null\r\n", 403, `"code":4032`},
		"no upgrade":                 {without("Upgrade"), 426, `"code":4260`},
		"no connection":              {without("Connection"), 426, `"code":4260`},
		"tokens among others":        {without("Connection") + "Connection: keep-alive, upgrade\r\n", 101, ""},
		"no version":                 {without("Sec-WebSocket-Version"), 426, `"code":4260`},
		"an older version":           {without("Sec-WebSocket-Version") + "Sec-WebSocket-Version: 8\r\n", 426, "Sec-Websocket-Version: 13"},
		"no key":                     {without("Sec-WebSocket-Key"), 400, refused},
		"a short key":                {without("Sec-WebSocket-Key") + "Sec-WebSocket-Key: AAAA\r\n", 400, refused},
		"a key that is no base64":    {without("Sec-WebSocket-Key") + "Sec-WebSocket-Key: ********************==\r\n", 400, refused},
		"two keys":                   {upgradeHeaders + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 400, refused},
		"our subprotocol":            {upgradeHeaders + "Sec-WebSocket-Protocol: other, latido.v1\r\n", 101, "Sec-Websocket-Protocol: latido.v1"},
		"subprotocols on two lines":  {upgradeHeaders + "Sec-WebSocket-Protocol: other\r\nSec-WebSocket-Protocol: latido.v1\r\n", 101, "Sec-Websocket-Protocol: latido.v1"},
		"deflate":                    {upgradeHeaders + deflate + "permessage-deflate; client_max_window_bits\r\n", 101, "Sec-Websocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		"deflate on the second line": {upgradeHeaders + deflate + "x\r\n" + deflate + "permessage-deflate\r\n", 101, "Sec-Websocket-Extensions: permessage-deflate"},
	} {
		r := dialRaw(t, b, test.headers)
		if r.response.StatusCode != test.status {
			t.Errorf("%s: %s", name, r.response.Status)
		}
		var got strings.Builder
		_ = r.response.Header.Write(&got) // a builder takes everything
		if r.response.StatusCode != http.StatusSwitchingProtocols {
			body := make([]byte, r.response.ContentLength)
			_, _ = r.response.Body.Read(body)
			got.Write(body)
		}
		if !strings.Contains(got.String(), test.holds) {
			t.Errorf("%s: %q lacks %q", name, got.String(), test.holds)
		}
	}
	for name, headers := range map[string]string{
		"another subprotocol":       upgradeHeaders + "Sec-WebSocket-Protocol: other, LATIDO.V1, latido.v10\r\n",
		"deflate with a parameter":  upgradeHeaders + deflate + "permessage-deflate; mystery\r\n",
		"what is not quite deflate": upgradeHeaders + deflate + "permessage-deflated\r\n",
	} {
		header := dialRaw(t, b, headers).response.Header
		if header.Get("Sec-WebSocket-Accept") == "" || header.Get("Sec-WebSocket-Protocol")+header.Get("Sec-WebSocket-Extensions") != "" {
			t.Errorf("%s: answered %v", name, header)
		}
	}
}

// Frames that come in the same packet as the handshake are read.
func TestEarlyFrames(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{})
	hello := text(fmt.Sprintf(`{"op":"hello","token":%q}`, token(t, b, "ana", "")))
	early := cat(hello, text(said(1, 9000)), text(said(2, 100)))
	for _, sent := range []int{len(hello), len(early), len(hello) + 3, 5} {
		r := dialRaw(t, b, upgradeHeaders, early[:sent])
		r.write(early[sent:])
		r.expect("welcome")
		for id := range 2 {
			if answer := r.expect("ok"); answer["id"] != float64(id+1) {
				t.Errorf("%d bytes were early: answered %v", sent, answer)
			}
		}
	}
}

// Whoever does not say hello is closed at the deadline, whatever it does until
// then, and has little held for it.
func TestNoHello(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{Limits: session.Limits{Handshake: 3 * time.Second}})
	again := func(data []byte) func(*raw) {
		return func(r *raw) {
			for range time.Tick(10 * time.Millisecond) {
				if _, err := r.tcp.Write(data); err != nil {
					return
				}
			}
		}
	}
	for name, test := range map[string]struct {
		opens bool // does its handshake
		does  func(*raw)
	}{
		"nothing at all":         {false, func(*raw) {}},
		"a request byte by byte": {false, again([]byte("G"))},
		"a header without end":   {false, func(r *raw) { r.write([]byte("GET /ws HTTP/1.1\r\n")); again([]byte("X-Y: z\r\n"))(r) }},
		"a body without end": {false, func(r *raw) {
			r.write([]byte("POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"))
			again([]byte("{"))(r)
		}},
		"no frame":                          {true, func(*raw) {}},
		"pings":                             {true, again(masked(fin|pingOp, "x"))},
		"a frame byte by byte":              {true, func(r *raw) { r.write([]byte{fin | textual, 0xFE, 0x10, 0}); again([]byte("x"))(r) }},
		"fragments":                         {true, func(r *raw) { r.write(masked(textual, "")); again(masked(continuation, "{"))(r) }},
		"a frame larger than any hello":     {true, func(r *raw) { r.write([]byte{fin | textual, 0xFE, 0xF0, 0}) }},
		"pings without reading the answers": {true, func(r *raw) { again(masked(fin|pingOp, strings.Repeat("x", 125)))(r) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := connectRaw(t, b)
			if test.opens {
				r = dialRaw(t, b, upgradeHeaders)
			}
			go test.does(r)
			for {
				if _, err := r.in.ReadByte(); err != nil {
					if strings.Contains(err.Error(), "timeout") {
						t.Error("was not closed")
					}
					return
				}
			}
		})
	}
}
