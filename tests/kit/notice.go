package kit

import (
	"encoding/json"
	"fmt"

	"github.com/latido/latido/schemas/bridge"
)

// presence is a state or a change: State is nil in a change.
type presence struct {
	Channel string          `json:"channel"`
	State   []bridge.Member `json:"state"`
	Joins   []bridge.Member `json:"joins"`
	Updates []bridge.Member `json:"updates"`
	Leaves  []bridge.Leave  `json:"leaves"`
	Count   int             `json:"count"`
}

func decodeNotice(line []byte) (any, error) {
	var head struct {
		Op string `json:"op"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, fmt.Errorf("notice %.80q: %w", line, err)
	}
	notice := blankNotice(head.Op)
	if notice == nil {
		return nil, fmt.Errorf("notice %.80q: unknown op", line)
	}
	if err := json.Unmarshal(line, notice); err != nil {
		return nil, fmt.Errorf("notice %.80q: %w", line, err)
	}
	return notice, nil
}

func blankNotice(op string) any {
	switch op {
	case "welcome":
		return &bridge.Welcome{}
	case "ok":
		return &bridge.OK{}
	case "error":
		return &bridge.Error{}
	case "event":
		return &bridge.Event{}
	case "presence":
		return &presence{}
	case "gap":
		return &bridge.Gap{}
	case "degraded":
		return &bridge.Degraded{}
	case "restored":
		return &bridge.Restored{}
	case "drain":
		return &bridge.Drain{}
	case "unsubscribed":
		return &bridge.Unsubscribed{}
	case "ping":
		return &bridge.Ping{}
	}
	return nil
}
