package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// latestAtOnce is how many subjects are asked for in one request; JetStream takes
// 1,024.
const latestAtOnce = 512

// lagTimeout is how long a replica is waited for that has what its leader has.
const lagTimeout = 5 * time.Second

var errLags = errors.New("the replica lags")

// Latest calls each with pages of the newest fact of every subject that matches a
// pattern, in no order between pages, and returns the sequence up to which that is
// whole: what was stored later may be missing. An error of each ends the read.
func Latest(ctx context.Context, nc *nats.Conn, stream, pattern string, each func(Page) error) (uint64, error) {
	last, err := Last(ctx, nc, stream, pattern)
	if err != nil || last == 0 {
		return 0, err
	}
	names, err := list(ctx, nc, stream, pattern)
	if err != nil {
		return 0, err
	}
	for some := range slices.Chunk(names, latestAtOnce) {
		if err := latest(ctx, nc, stream, some, last, each); err != nil {
			return 0, fmt.Errorf("latest of %s: %w", pattern, err)
		}
	}
	return last, nil
}

// list asks the leader which subjects match a pattern.
func list(ctx context.Context, nc *nats.Conn, stream, pattern string) ([]string, error) {
	var names []string
	for {
		var info struct {
			Total int `json:"total"`
			State struct {
				Subjects map[string]uint64 `json:"subjects"`
			} `json:"state"`
			Error *jetstream.APIError `json:"error"`
		}
		request := map[string]any{"subjects_filter": pattern, "offset": len(names)}
		if err := ask(ctx, nc, "$JS.API.STREAM.INFO."+stream, request, &info); err != nil {
			return nil, fmt.Errorf("subjects of %s: %w", stream, err)
		}
		if info.Error != nil {
			return nil, refused(info.Error)
		}
		names = slices.AppendSeq(names, maps.Keys(info.State.Subjects))
		if len(info.State.Subjects) == 0 || len(names) >= info.Total {
			return names, nil
		}
	}
}

// latest reads the newest fact of each of some subjects from a replica that has
// reached upTo.
func latest(ctx context.Context, nc *nats.Conn, stream string, names []string, upTo uint64, each func(Page) error) error {
	patience, cancel := context.WithTimeout(ctx, lagTimeout)
	defer cancel()
	for next := uint64(0); ; {
		request, err := json.Marshal(map[string]any{"multi_last": names, "seq": next, "max_bytes": pageBytes})
		if err != nil {
			return err
		}
		attempt, cancel := context.WithTimeout(patience, requestTimeout)
		page, err := batch(attempt, nc, "$JS.API.DIRECT.GET."+stream, request)
		cancel()
		if err == nil && page.upTo < upTo {
			err = errLags
		}
		if err != nil {
			if (errors.Is(err, errLags) || transient(err)) && pause(patience, 10*time.Millisecond) {
				continue
			}
			return err
		}
		if err := each(page); err != nil {
			return err
		}
		if page.Pending == 0 || len(page.Facts) == 0 {
			return nil
		}
		next = page.Facts[len(page.Facts)-1].Sequence + 1
	}
}
