package session

import (
	"math/rand/v2"
	"time"
)

const (
	// pingPatience is how long the answer to a ping may take.
	pingPatience = 10 * time.Second
	// slowest is at how many bytes per second a client reads, at least. A ping
	// stands behind what was sent before it: a client that is still reading that
	// cannot have heard the question.
	slowest = 800
	// unproven is how many bytes may be sent beyond what the client is known to
	// have read before it is asked out of turn, so that little stands before any
	// ping; and soonest is how long after the one before.
	unproven = 4 << 10
	soonest  = 3 * time.Second
)

// pulse judges whether a peer is there: it is asked when it has said nothing, or
// was told nothing, for a while, and is gone when a question stayed unanswered.
// How much there is to say or to hear does not matter: whoever only listens is
// asked as well, and any byte is an answer. The zero value has asked nothing. Its
// times are those of [netpoll.Uptime]. Of the sweep only.
type pulse struct {
	asked time.Duration // when it was asked what it has not answered, or zero
	last  time.Duration // when it was last asked
	due   time.Duration // the silence before the next question; zero to draw it

	upTo int64 // bytes sent before the oldest question without a pong of its own
	read int64 // bytes that the peer is known to have read
}

// signs are what a session knows of its peer.
type signs struct {
	heard, told time.Duration // when bytes last came, and went
	ponged      time.Duration // when a pong last came
	sent        int64         // bytes written, or about to be
	deaf        bool          // what may have come is not read, or nothing can be written
}

// step is what is to be done about a peer.
type step int

const (
	stepNone  step = iota
	stepAsk        // send a ping
	stepDoubt      // it may still be reading: it is gone if its line is dead
	stepGone
)

// judge says what to do now. ping is the longest silence before a question.
func (p *pulse) judge(now, ping time.Duration, seen signs) step {
	if p.upTo > 0 && seen.ponged > p.last {
		p.read, p.upTo = p.upTo, 0
	}
	if p.asked == 0 || seen.heard > p.asked {
		p.asked = 0
		return p.ask(now, ping, seen)
	}
	if seen.deaf {
		p.asked = now // its time to answer begins when it can
		return stepNone
	}
	switch waited := now - p.asked; {
	case waited > p.patience():
		return stepGone
	case waited > pingPatience:
		return stepDoubt
	}
	return stepNone
}

func (p *pulse) ask(now, ping time.Duration, seen signs) step {
	if p.due == 0 { // sooner at first, so that those who connected together are spread
		p.due = spread(ping, 0.3)
	}
	quiet := now-min(seen.heard, seen.told) > p.due
	much := seen.sent-p.read > unproven && now-p.last > soonest
	if seen.deaf || !quiet && !much {
		return stepNone
	}
	p.asked, p.last, p.due = now, now, spread(ping, 0.8)
	if p.upTo == 0 {
		p.upTo = seen.sent
	}
	return stepAsk
}

// patience is how long the answer may take, by what stands before the question.
func (p *pulse) patience() time.Duration {
	unread := time.Duration(p.upTo-p.read) * time.Second / slowest
	return max(pingPatience, pingPatience/2+unread)
}

// excuse forgives a peer that has not answered yet a time in which this process
// itself did not run.
func (p *pulse) excuse(absent, heard time.Duration) {
	if p.asked > 0 && heard <= p.asked {
		p.asked += absent
	}
}

// spread draws a part of a time: at most nine tenths of it, so that a question
// that is asked and judged a tick late is still in time.
func spread(d time.Duration, least float64) time.Duration {
	return time.Duration((least + rand.Float64()*(0.9-least)) * float64(d))
}
