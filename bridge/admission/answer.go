package admission

import (
	"bytes"
	"sync"

	"github.com/latido/latido/schemas"
)

// Request lets one more HTTP request of an address be worked on, until done.
func (d *Door) Request(address *Account) (done func(), err error) {
	if address == nil {
		return func() {}, nil
	}
	if address.requests.Add(1) > requestsOfAddress {
		address.requests.Add(-1)
		return nil, limited(busyPause, schemas.RateLimited, "at most %d requests of an address at once", requestsOfAddress)
	}
	return func() { address.requests.Add(-1) }, nil
}

// Answer is the body of an answer over HTTP. It counts as held until it is
// closed, which the web server does once its client has read it or is given up.
type Answer struct {
	*bytes.Reader
	close func()
}

// Close gives the bytes back.
func (a *Answer) Close() error {
	a.close()
	return nil
}

// Hold returns body as an answer, unless too many bytes wait to be read by the
// user, or by all.
func (d *Door) Hold(user *Account, body []byte) (*Answer, error) {
	size := int64(len(body))
	if d.answers.Add(size) > answersAtOnce {
		d.answers.Add(-size)
		return nil, limited(busyPause, schemas.Busy, "too many answers wait to be read")
	}
	if user == nil {
		user = &Account{}
	}
	if user.answers.Add(size) > answersOfUser {
		user.answers.Add(-size)
		d.answers.Add(-size)
		return nil, limited(busyPause, schemas.RateLimited, "too many answers to this user wait to be read")
	}
	return &Answer{bytes.NewReader(body), sync.OnceFunc(func() {
		user.answers.Add(-size)
		d.answers.Add(-size)
	})}, nil
}
