package topology

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
)

// renewalStep is how finely renewals are told apart: several processes that notice
// the same loss at once make one of it.
const renewalStep = 10 * time.Second

// Renew gives streams another epoch: they have lost what readers may have seen.
func Renew(ctx context.Context, js jetstream.JetStream, streams ...string) error {
	for _, name := range streams {
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return fmt.Errorf("renew %s: %w", name, err)
		}
		cfg := stream.CachedInfo().Config
		if cfg.Metadata == nil {
			cfg.Metadata = make(map[string]string)
		}
		cfg.Metadata[subjects.MetadataRenewal] = strconv.FormatInt(time.Now().Unix()/int64(renewalStep.Seconds()), 36)
		if _, err := js.UpdateStream(ctx, cfg); err != nil {
			return fmt.Errorf("renew %s: %w", name, err)
		}
	}
	return nil
}

// Guard notices that a stream has lost its tail: one that was restored from a
// backup, or whose server lost power. It remembers the newest message of each
// stream from one look to the next, and so knows of no loss between two processes.
type Guard struct {
	ends map[string]end
}

// end is the newest message of a stream that was seen.
type end struct {
	created  time.Time
	renewal  string
	sequence uint64
	at       time.Time
}

// Look compares streams with what they were at the last look, and lists those that
// have lost messages and whose epoch does not say so yet. A stream that is missing
// is left to [Ensure].
func (g *Guard) Look(ctx context.Context, js jetstream.JetStream, streams ...string) (broken []string, err error) {
	if g.ends == nil {
		g.ends = make(map[string]end)
	}
	for _, name := range streams {
		stream, err := js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return broken, fmt.Errorf("look at %s: %w", name, err)
		}
		info := stream.CachedInfo()
		now := end{info.Created, info.Config.Metadata[subjects.MetadataRenewal], info.State.LastSeq, info.State.LastTime}
		was, known := g.ends[name]
		if known && was.created.Equal(now.created) && was.renewal == now.renewal {
			lost, err := was.lost(ctx, stream, now)
			if err != nil {
				return broken, fmt.Errorf("look at %s: %w", name, err)
			}
			if lost {
				broken = append(broken, name)
			}
		}
		g.ends[name] = now
	}
	return broken, nil
}

// lost says whether the message that was the newest is another now, or none yet. A
// message that was removed meanwhile says nothing.
func (e end) lost(ctx context.Context, stream jetstream.Stream, now end) (bool, error) {
	if e.sequence == 0 || now.sequence <= e.sequence {
		return now.sequence < e.sequence, nil
	}
	message, err := stream.GetMsg(ctx, e.sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil && !message.Time.Equal(e.at), err
}
