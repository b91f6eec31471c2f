package chat

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/latido/latido/schemas/chat"
)

// What its schema takes for an integer, a command takes, and stores in digits.
func TestIntegersMayBeSpelledInAnyWay(t *testing.T) {
	t.Parallel()
	caller := start(t)
	feed := caller.Feed(channel)
	caller.Do(opening("bob"))
	for i, size := range []string{"1000", "1000.0", "1e3", "0.1E4"} {
		body := fmt.Sprintf(`{"text":"look","attachments":[{"url":"https://example.com/a.png","type":"image/png","size":%s}]}`, size)
		caller.Do(call("ana", "post", fmt.Sprint(i), json.RawMessage(body)))
		var got chat.NewMessage
		if err := json.Unmarshal(feed.Await("new_message").Data, &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Attachments) != 1 || got.Attachments[0].Size != 1000 {
			t.Errorf("%s is stored as %+v", size, got)
		}
	}
}
