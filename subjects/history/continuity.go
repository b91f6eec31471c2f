package history

import (
	"context"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// Position is where a reader stands: it has, or has been told that it lacks,
// every fact of its subject up to Sequence.
type Position struct {
	Epoch    string
	Sequence uint64
	// At is when the stream's message at Sequence was stored, whatever its
	// subject; the zero time when that is not known.
	At time.Time
}

// Range is a run of sequences, both ends included.
type Range struct {
	From uint64
	To   uint64
}

// Standing is how a reader goes on.
type Standing struct {
	After   uint64    // what follows this sequence can be given without a hole
	At      time.Time // proves After as a position's At does; zero when that is not known
	Missing *Range    // what cannot be given, or may have been there; nil when nothing is missing
	Anew    bool      // the stream's past is another than the reader's: what it holds may never have been
}

// Place is where the reader stands then, in the stream of an epoch.
func (s Standing) Place(epoch string) Position {
	return Position{Epoch: epoch, Sequence: s.After, At: s.At}
}

// Resume judges a position against the stream whose epoch is given. A position
// of another epoch misses something in any case: but when its message is there,
// the reader need not begin anew. One that names no epoch is judged by what is left
// of it to prove; and who has nothing at all, not even an epoch, misses nothing.
func Resume(ctx context.Context, leader Leader, subject, epoch string, p Position) (Standing, error) {
	switch {
	case p.Epoch == "" && p.Sequence == 0:
		oldest, err := Oldest(ctx, leader, subject)
		return Standing{After: oldest.Sequence, At: oldest.At}, err
	case p.Epoch == "" || p.Epoch == epoch:
		return Judge(ctx, leader, subject, p)
	}
	missing := behind(p)
	if p.Sequence > 0 && !p.At.IsZero() {
		message, found, err := leader.Message(ctx, p.Sequence)
		if err != nil {
			return Standing{}, err
		}
		if found && SameTime(message.Time, p.At) {
			return Standing{After: p.Sequence, At: message.Time, Missing: missing}, nil
		}
	}
	return anew(ctx, leader, subject, p)
}

// Judge says how a reader goes on that stands at a position of the stream's
// present epoch; one that names another begins anew, unless its message is there.
// Most often it is one request to the leader, at most four and a page, and one more
// to begin anew.
func Judge(ctx context.Context, leader Leader, subject string, p Position) (Standing, error) {
	whole := Standing{After: p.Sequence, At: p.At}
	var there bool
	if p.Sequence > 0 {
		message, found, err := leader.Message(ctx, p.Sequence)
		switch {
		case err != nil:
			return Standing{}, err
		case found && !p.At.IsZero() && !SameTime(message.Time, p.At):
			return anew(ctx, leader, subject, p)
		case found:
			whole.At, there = message.Time, true
		}
		if message.Subject == subject {
			return whole, nil
		}
	}
	described, err := leader.Describe(ctx)
	if err != nil {
		return Standing{}, err
	}
	if p.Epoch != "" && p.Epoch != described.Epoch || !there && p.Sequence > described.Last {
		return anew(ctx, leader, subject, p)
	}
	oldest, found, err := leader.Next(ctx, subject, 0)
	if err != nil {
		return Standing{}, err
	}
	if found && oldest.Sequence <= p.Sequence || keepsAll(described, oldest, p.Sequence) {
		return whole, nil
	}
	to := described.End()
	if found {
		to, err = Preceding(ctx, leader, oldest.Sequence, oldest.Time)
	}
	if err != nil || to.Sequence <= p.Sequence {
		return whole, err
	}
	if described.First <= p.Sequence+1 {
		if others, err := ofOthers(ctx, leader, subject, p.Sequence, to.Sequence); err != nil || others {
			return whole, err
		}
	}
	return Standing{After: to.Sequence, At: to.At, Missing: &Range{p.Sequence + 1, to.Sequence}}, nil
}

// anew is the standing of who begins with the oldest fact that is kept now.
func anew(ctx context.Context, leader Leader, subject string, p Position) (Standing, error) {
	oldest, err := Oldest(ctx, leader, subject)
	missing := behind(p)
	missing.To = max(missing.To, oldest.Sequence)
	return Standing{After: oldest.Sequence, At: oldest.At, Missing: missing, Anew: true}, err
}

// behind is what a position whose past is gone lacks at least. It ends where the
// numbers of JSON do, at 2^53-1 (RFC 8259, section 6).
func behind(p Position) *Range {
	next := min(p.Sequence, 1<<53-2) + 1
	return &Range{next, next}
}

// Oldest returns the place behind which the facts of the subject follow that are
// kept now: the stream's end, if there is none.
func Oldest(ctx context.Context, leader Leader, subject string) (Position, error) {
	described, err := leader.Describe(ctx)
	if err != nil {
		return Position{}, err
	}
	oldest, found, err := leader.Next(ctx, subject, 0)
	if err != nil || !found {
		return described.End(), err
	}
	return Preceding(ctx, leader, oldest.Sequence, oldest.Time)
}

// Watermark asks the leader for the subject's newest fact. For one without facts
// it is the stream's end at a moment when there was none up to it.
func Watermark(ctx context.Context, leader Leader, subject string) (watermark Position, fact bool, err error) {
	if watermark, err = leader.Newest(ctx, subject); err != nil || watermark.Sequence > 0 {
		return watermark, true, err
	}
	described, err := leader.Describe(ctx)
	if err != nil {
		return watermark, false, err
	}
	if watermark, err = leader.Newest(ctx, subject); err != nil || watermark.Sequence > 0 {
		return watermark, true, err
	}
	return described.End(), false, nil
}

// Preceding returns the place right before a sequence. When the message there is
// gone, the time is that of the next one that was ever seen: what the stream has
// there later is of another past, and of another time.
func Preceding(ctx context.Context, leader Leader, sequence uint64, next time.Time) (Position, error) {
	if sequence <= 1 {
		return Position{}, nil
	}
	place := Position{Sequence: sequence - 1, At: next}
	message, found, err := leader.Message(ctx, place.Sequence)
	if found {
		place.At = message.Time
	}
	return place, err
}

// keepsAll says whether no fact was removed between a sequence and the oldest one
// kept, which follows it: that one names its predecessor, or nothing was removed
// from the stream there. To name none proves nothing: all before it may have been
// removed when it was appended.
func keepsAll(stream Stream, oldest Fact, after uint64) bool {
	if previous, err := strconv.ParseUint(oldest.Header.Get(nats.ExpectedLastSubjSeqHdr), 10, 64); err == nil && previous > 0 {
		return previous <= after
	}
	return stream.First <= after+1 && stream.Deleted == 0
}

// ofOthers says whether every message between a sequence and another, which is
// included, is kept and of another subject: then none of the subject was ever there.
// Longer than a page nobody looks.
func ofOthers(ctx context.Context, leader Leader, subject string, after, to uint64) (bool, error) {
	if to-after > pageFacts {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lagTimeout)
	defer cancel()
	for after < to {
		last, found, err := leader.Message(ctx, to)
		if err != nil || !found || last.Subject == subject {
			return false, err
		}
		page, err := leader.Page(ctx, after)
		if err != nil {
			return false, err
		}
		for _, message := range page.Facts {
			if message.Sequence != after+1 || message.Subject == subject {
				return false, nil
			}
			if after++; after == to {
				return true, nil
			}
		}
		if len(page.Facts) == 0 && !pause(ctx, 2*time.Millisecond) { // the replica lags
			return false, nil
		}
	}
	return true, nil
}

// SameTime compares the times of a message. Who keeps times in milliseconds, as
// JavaScript does, must be understood, too.
func SameTime(a, b time.Time) bool { return a.Sub(b).Abs() < time.Millisecond }
