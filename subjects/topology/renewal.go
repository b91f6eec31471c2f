package topology

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
)

const (
	// renewalStep is how finely renewals are told apart: several processes that notice
	// the same loss at once make one of it.
	renewalStep = 10 * time.Second
	// claimTimeout bounds how long one claim is looked into, and claimAhead how far
	// what it says may be ahead of the clock here.
	claimTimeout = 5 * time.Second
	claimAhead   = time.Hour
)

// errKept is the answer to who claims a loss that there is no proof of.
var errKept = errors.New("what was seen may still be there")

// Renew gives streams another epoch: they have lost what readers may have seen.
func Renew(ctx context.Context, js jetstream.JetStream, streams ...string) error {
	for _, name := range streams {
		if err := renew(ctx, js, name, 0); err != nil {
			return err
		}
	}
	return nil
}

// renew gives a stream an epoch that is newer than its own, and than what was seen.
func renew(ctx context.Context, js jetstream.JetStream, name string, seen int64) error {
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("renew %s: %w", name, err)
	}
	info := stream.CachedInfo()
	seen = max(seen, subjects.EpochBegan(subjects.Epoch(info.Created, info.Config.Metadata)))
	cfg := info.Config
	if cfg.Metadata == nil {
		cfg.Metadata = make(map[string]string)
	}
	began := max(time.Now().Truncate(renewalStep).UnixNano(), seen+1)
	cfg.Metadata[subjects.MetadataRenewal] = strconv.FormatInt(began, 36)
	if _, err := js.UpdateStream(ctx, cfg); err != nil {
		return fmt.Errorf("renew %s: %w", name, err)
	}
	return nil
}

// Guard notices that a stream has lost its tail: one that was restored from a
// backup, or whose server lost power. It remembers the newest message of each
// stream from one look to the next, and so knows of no loss between two processes;
// of what came and went between two looks it is told by who has seen it.
type Guard struct {
	mu   sync.Mutex
	ends map[string]end
}

// end is the newest message of a stream that was seen.
type end struct {
	epoch    int64 // when it began
	sequence uint64
	at       time.Time
}

func endOf(info *jetstream.StreamInfo) end {
	return end{subjects.EpochBegan(subjects.Epoch(info.Created, info.Config.Metadata)), info.State.LastSeq, info.State.LastTime}
}

// Look compares streams with what they were at the last look, gives those another
// epoch that have lost messages and whose epoch does not say so yet, and lists them. A
// stream that is missing is left to [Ensure].
func (g *Guard) Look(ctx context.Context, js jetstream.JetStream, streams ...string) (renewed []string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range streams {
		was, known := g.ends[name]
		lost, err := g.look(ctx, js, name, was, known)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return renewed, fmt.Errorf("look at %s: %w", name, err)
		}
		if lost {
			renewed = append(renewed, name)
		}
	}
	return renewed, nil
}

// Hear looks into what others have seen of the streams and find no more, see
// [subjects.Lost], until the subscription ends. Of several guards one does.
func (g *Guard) Hear(nc *nats.Conn, js jetstream.JetStream) (*nats.Subscription, error) {
	return nc.QueueSubscribe(subjects.Lost("*"), "guard", func(msg *nats.Msg) {
		ctx, cancel := context.WithTimeout(context.Background(), claimTimeout)
		defer cancel()
		_, name, _ := strings.Cut(msg.Subject, ".")
		var answer []byte
		if err := g.claimed(ctx, js, name, msg.Data); err != nil {
			answer = []byte(err.Error())
		}
		_ = msg.Respond(answer)
	})
}

func (g *Guard) claimed(ctx context.Context, js jetstream.JetStream, name string, claim []byte) error {
	var place subjects.Place
	if err := json.Unmarshal(claim, &place); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := end{subjects.EpochBegan(place.Epoch), place.Sequence, place.At}
	if seen.epoch > time.Now().Add(claimAhead).UnixNano() {
		return errKept
	}
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return err
	}
	if endOf(stream.CachedInfo()).epoch > seen.epoch {
		return nil
	}
	lost, err := g.look(ctx, js, name, seen, true)
	if err == nil && !lost {
		err = errKept
	}
	return err
}

// look compares a stream with what was seen of it, if anything was, and renews it if
// that is lost and its epoch is not a newer one. The lock is held.
func (g *Guard) look(ctx context.Context, js jetstream.JetStream, name string, was end, known bool) (lost bool, err error) {
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return false, err
	}
	now := endOf(stream.CachedInfo())
	if known && now.epoch <= was.epoch {
		if lost, err = was.lost(ctx, stream, now); err != nil {
			return false, err
		}
	}
	if lost {
		if err := renew(ctx, js, name, max(was.epoch, g.ends[name].epoch)); err != nil {
			return false, err
		}
		if stream, err = js.Stream(ctx, name); err != nil {
			return true, err
		}
		now = endOf(stream.CachedInfo())
	}
	if g.ends == nil {
		g.ends = make(map[string]end)
	}
	g.ends[name] = now
	return lost, nil
}

// lost says whether the message that was seen is another now, or none yet, or whether
// the epoch is older than it. A message that was removed meanwhile says nothing.
func (e end) lost(ctx context.Context, stream jetstream.Stream, now end) (bool, error) {
	if now.epoch < e.epoch || now.sequence < e.sequence {
		return true, nil
	}
	if e.sequence == 0 || e.at.IsZero() {
		return false, nil
	}
	message, err := stream.GetMsg(ctx, e.sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil && !message.Time.Equal(e.at), err
}
