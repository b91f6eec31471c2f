package hub

import (
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// Steps is what a channel holds and how that changes, without what surrounds it: no
// bus, no socket, no clock, no goroutine and no lock. By it a simulation takes the very
// steps that a [Channel] takes, and does itself what they leave to be done.
type Steps struct {
	state  state
	places []*Place
}

// Place is where a reader stands, and how it goes on.
type Place struct{ place }

// StepFact is a fact as a step takes it. Size is how much of the ring it fills, in bytes.
type StepFact struct {
	wire.Event
	Size int
}

// StepFeed is a fact from the feed, and the sequence of the channel's fact before it.
type StepFeed struct {
	StepFact
	Previous uint64
}

// StepWork is what steps leave to be done.
type StepWork struct {
	Changed bool     // readers may have something before them
	Heal    bool     // what is missing is to be read: see Mend
	Begin   bool     // where the channel begins now is to be asked: see Started
	Loads   []uint64 // behind which a page is to be read: see Turn
}

// StepQuestion is what a reading has to know of the stream next; exactly one is asked.
type StepQuestion struct {
	Page, Standing, Preceding, Epoch bool

	At   history.Position // of Page behind it, of Standing at it, of Preceding before it
	UpTo uint64           // of Page
}

// StepAnswer is that of a question.
type StepAnswer struct {
	Facts    []StepFact       // of Page
	Pending  uint64           // of Page: facts behind them
	Reached  uint64           // of Page without facts: behind which there are none up to UpTo
	Standing history.Standing // of Standing
	Place    history.Position // of Preceding
	Name     string           // of Epoch
}

// StepReading is a reading of the stream, a step at a time.
type StepReading struct {
	reading
	steps    *Steps
	turning  *turning
	erasures int
}

// NewSteps is a channel of a kind that is to be opened.
func NewSteps(name subjects.Channel, kind subjects.Kind) *Steps {
	return &Steps{state: state{label: name.String(), kind: kind, healing: true}}
}

func (f StepFact) entry() *entry {
	e := eventEntry(f.Event)
	e.size = f.Size
	return e
}

// Open has the channel begin at a watermark of the stream.
func (s *Steps) Open(epoch string, watermark history.Position, fact bool) {
	s.state.epoch = epoch
	s.state.beginAt(watermark, fact)
}

// Feed takes a fact from the feed.
func (s *Steps) Feed(f StepFeed) { s.state.take(f.entry(), f.Previous) }

// Measure takes the newest fact that the stream's leader knew.
func (s *Steps) Measure(newest history.Position, stream history.Stream, thorough bool) (doubtful bool) {
	return s.state.measure(newest, stream, thorough)
}

// Doubts says whether the stream's past may not be the one seen here.
func (s *Steps) Doubts(stream history.Stream, at history.Position, message history.Fact, there, thorough bool) bool {
	return doubts(stream, at, message, there, thorough)
}

// Rename takes a new epoch, and how a reader goes on in it that stood at the head of a life.
func (s *Steps) Rename(epoch string, life int, standing history.Standing) {
	s.state.rename(epoch, life, standing)
}

// Erase forgets the facts up to a sequence.
func (s *Steps) Erase(upTo uint64) { s.state.erase(upTo) }

// Started says where the channel begins that began anew.
func (s *Steps) Started(oldest, watermark history.Position, fact bool) {
	s.state.started(oldest, watermark, fact)
}

// Head is where a reader stands that has everything, Life how often the channel has
// begun anew, Starting that it does so now, and Healing that facts are held back.
func (s *Steps) Head() history.Position { return s.state.head() }

// Life grows when the channel begins anew.
func (s *Steps) Life() int { return s.state.life }

// Starting says that the channel begins anew, and does not know where.
func (s *Steps) Starting() bool { return s.state.starting }

// Healing says that facts are held back, or missing.
func (s *Steps) Healing() bool { return s.state.healing }

// Work is what the steps since it was last taken leave to be done.
func (s *Steps) Work() (w StepWork) {
	for s.state.out.unusual() {
		out := s.state.takeOut()
		for _, p := range s.places {
			if out.begin {
				p.startOver()
			}
			if out.begun {
				p.restart()
			}
		}
		w.Begin = w.Begin || out.begin
		w.Heal = w.Heal || out.heal
		w.Loads = append(w.Loads, out.loads...)
	}
	w.Changed, s.state.out.changed = s.state.out.changed, false
	return w
}

// Mend is the reading of what is missing.
func (s *Steps) Mend() *StepReading { return &StepReading{reading: s.state.mend(), steps: s} }

// Look is the reading that finds another past.
func (s *Steps) Look() *StepReading { return &StepReading{reading: s.state.look(), steps: s} }

// Turn is the reading of the page behind a sequence.
func (s *Steps) Turn(after uint64) *StepReading {
	t := turnTo(s.state.life, s.state.proofOf(after), s.state.ring.floor)
	return &StepReading{reading: t, steps: s, turning: t, erasures: s.state.erasures}
}

// Question is what the reading has to know next. It is not ok when it has ended.
func (r *StepReading) Question() (q StepQuestion, ok bool) {
	next := r.next()
	q = StepQuestion{At: next.at, UpTo: next.upTo}
	switch next.asking {
	case askNothing:
		return q, false
	case askPage:
		q.Page = true
	case askStanding:
		q.Standing = true
	case askPreceding:
		q.Preceding = true
	case askEpoch:
		q.Epoch = true
	}
	return q, true
}

// Answer takes the answer to the question.
func (r *StepReading) Answer(a StepAnswer) {
	taken := answer{pending: a.Pending, reached: a.Reached, standing: a.Standing, place: a.Place, epoch: a.Name}
	for _, f := range a.Facts {
		taken.entries = append(taken.entries, f.entry())
	}
	s := &r.steps.state
	r.step(s, taken)
	if t := r.turning; t != nil && t.asking == askNothing && s.life == t.life {
		s.keep(t.page, r.erasures)
	}
}

// Ended says whether a mending may end: nothing is missing, or the channel began anew.
func (r *StepReading) Ended() bool {
	m, mends := r.reading.(*mending)
	return !mends || m.whole
}

// Proves says whether what is here proves that a reader at a position may go on there.
func (s *Steps) Proves(p history.Position) bool { return s.state.proves(p) }

// Begin places a reader that goes on as it stands, or, without a standing, with what is
// new. If what follows is not at hand a page behind the standing is to be read first.
func (s *Steps) Begin(v View, standing *history.Standing) (p *Place, ok wire.OK, atHand bool) {
	start := beginning{life: s.state.life}
	if standing != nil {
		start.Standing, start.replay = *standing, true
	}
	if !s.state.atHand(start) {
		return nil, ok, false
	}
	p = &Place{place{at: &s.state, view: v, member: Lasting}}
	p.begin(start, true, &ok)
	p.stage = attached
	s.places = append(s.places, p)
	return p, ok, true
}

// Gather is what the reader is told now, of at most about 64 kB.
func (p *Place) Gather() []byte {
	out := new(output)
	p.gather(out)
	joined, _ := out.join(nil)
	return joined
}

// Done says that nothing is before the reader.
func (p *Place) Done() bool { return p.done() }

// Drop ends a reader's part.
func (s *Steps) Drop(p *Place) {
	for i, known := range s.places {
		if known == p {
			s.places = append(s.places[:i], s.places[i+1:]...)
			return
		}
	}
}
