package wire

// Endpointer is a dialect that is spoken at addresses of HTTP, too.
type Endpointer interface {
	Endpoints() []Endpoint
}

// Endpoint is one address of HTTP, and what is said there. Nothing of it is done before
// its caller is let in as at every other door.
type Endpoint struct {
	Method string
	Path   string // parts of it may have names: "/apps/:app/events"
	// Read reads what is asked. An error refuses it; it may be an [*AnswerError].
	Read func(asked Asked) (Exchange, error)
}

// Asked is a request of HTTP.
type Asked struct {
	Opening
	Part func(name string) string // a named part of the path, decoded
	Body []byte                   // may be kept
}

// Exchange is what a request of HTTP stands for.
type Exchange struct {
	Token    string // JWT of who asks
	Requests Batch  // each a [Publish] or a [Call], done in their order
	// Answer is what is answered, by what each request was told: an [OK] or an [Error]. Of
	// who is not let in it is told one [Error] alone.
	Answer func(told []Notice) Answer
}

// Answer is what HTTP answers, byte for byte.
type Answer struct {
	Status      int
	ContentType string
	Body        []byte
}
