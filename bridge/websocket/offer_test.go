package websocket_test

import (
	"testing"

	"github.com/latido/latido/bridge/websocket"
)

func TestAcceptDeflate(t *testing.T) {
	t.Parallel()
	const (
		plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		bits  = plain + "; server_max_window_bits=15"
	)
	for _, test := range []struct {
		offers []string
		want   string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"permessage-deflate"}, plain},
		{[]string{"Permessage-Deflate ; Client_Max_Window_Bits"}, plain},
		{[]string{"permessage-deflate; client_max_window_bits"}, plain}, // what Chromium and Firefox send
		{[]string{"permessage-deflate; client_max_window_bits=8"}, plain},
		{[]string{`permessage-deflate; client_max_window_bits="15"`}, plain},
		{[]string{`permessage-deflate; client_max_window_bits="1\5"`}, plain},
		{[]string{"permessage-deflate; server_no_context_takeover; client_no_context_takeover"}, plain},
		{[]string{"permessage-deflate; server_max_window_bits=15"}, bits},
		{[]string{"permessage-deflate; server_max_window_bits=10"}, ""}, // wider windows are written here
		{[]string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}, plain},
		{[]string{"permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=15"}, bits},
		{[]string{"x-webkit-deflate-frame, permessage-deflate"}, plain},
		{[]string{`x; note="a, permessage-deflate; b"`}, ""},
		{[]string{`x; note="a, \", b", permessage-deflate`}, plain},
		{[]string{"permessage-deflate-2"}, ""},
		{[]string{"permessage-deflated; client_max_window_bits"}, ""},
		{[]string{"permessage-deflate; mystery"}, ""},
		{[]string{"permessage-deflate; mystery=1, permessage-deflate"}, plain},
		{[]string{"permessage-deflate;"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits=7"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits=16"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits=09"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits=+9"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits="}, ""},
		{[]string{"permessage-deflate; server_max_window_bits"}, ""},
		{[]string{"permessage-deflate; server_max_window_bits=7"}, ""},
		{[]string{"permessage-deflate; server_max_window_bits=abc"}, ""},
		{[]string{"permessage-deflate; server_no_context_takeover=1"}, ""},
		{[]string{"permessage-deflate; client_no_context_takeover=true"}, ""},
		{[]string{"permessage-deflate; client_no_context_takeover; client_no_context_takeover"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits; client_max_window_bits=9"}, ""},
		{[]string{`permessage-deflate; client_max_window_bits="9`}, ""},
	} {
		if got := websocket.AcceptDeflate(test.offers...); got != test.want {
			t.Errorf("%q: answered %q instead of %q", test.offers, got, test.want)
		}
	}
}

func FuzzAcceptDeflate(f *testing.F) {
	f.Add("permessage-deflate; client_max_window_bits=\"1\\5\", x")
	f.Fuzz(func(_ *testing.T, offers string) { websocket.AcceptDeflate(offers) })
}
