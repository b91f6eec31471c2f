package hub

import "github.com/latido/latido/bridge/wire"

// conflate drops the events that a newer one of the same name and sender makes
// moot: what a browser that was too slow still wants to know of a moving marker
// is where it is. Other events all stay, in order.
func conflate(kind []string, entries []*entry) []*entry {
	type origin struct{ event, from string }
	newest := make(map[origin]int)
	for i, e := range entries {
		if event, ok := conflatable(kind, e); ok {
			newest[origin{event.Event, event.From}] = i
		}
	}
	kept := make([]*entry, 0, len(entries))
	for i, e := range entries {
		if event, ok := conflatable(kind, e); !ok || newest[origin{event.Event, event.From}] == i {
			kept = append(kept, e)
		}
	}
	return kept
}

func conflatable(names []string, e *entry) (wire.Event, bool) {
	event, ok := e.notice.(wire.Event)
	if !ok {
		return event, false
	}
	for _, name := range names {
		if name == event.Event || name == "*" {
			return event, true
		}
	}
	return event, false
}
