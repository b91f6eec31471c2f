package schemas

import (
	"cmp"
	"errors"
	"fmt"
)

// Code numbers a reason to say no; errors.json lists them all. The number alone tells a stranger whether to try again.
type Code int

// firstRetryable divides the codes: below it the same request fails again, from it on the same request may succeed later.
const firstRetryable Code = 4500

// Reason is the code's name in errors.json. A code that this build does not know, as a newer service may send, is "internal".
func (c Code) Reason() string { return c.entry().reason }

// Status is the HTTP status that carries the code.
func (c Code) Status() int { return c.entry().status }

// Retry says whether the same request may succeed later. It holds for unknown codes, too.
func (c Code) Retry() bool { return c >= firstRetryable }

func (c Code) entry() entry {
	if known, ok := codes[c]; ok {
		return known
	}
	return codes[Internal]
}

type entry struct {
	reason   string
	status   int
	sentence string
}

// Refusal is a no that belongs to the caller: it crosses the bus and the socket, and is never logged.
type Refusal struct {
	Code    Code
	Message string // one sentence for people, or nothing: see Sentence
	Field   string // the part of the data that is wrong, where one is
}

// Refuse says no with a sentence that explains it.
func Refuse(code Code, format string, args ...any) Refusal {
	return Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// RefusalOf is what the caller of a failed operation may see: the refusal within err or, as any other error is ours, a bare
// [Internal]. It must not be asked about nil.
func RefusalOf(err error) Refusal {
	if refusal, ok := errors.AsType[Refusal](err); ok {
		return refusal
	}
	return Refusal{Code: Internal}
}

// Sentence is what people are told: the message, or what errors.json says of the code.
func (r Refusal) Sentence() string { return cmp.Or(r.Message, r.Code.entry().sentence) }

func (r Refusal) Error() string {
	return fmt.Sprintf("refused: %d %s: %s", int(r.Code), r.Code.Reason(), r.Sentence())
}

// Is makes errors.Is(err, Refusal{Code: Taken}) ask for the code, whatever the message.
func (r Refusal) Is(target error) bool {
	other, ok := target.(Refusal)
	return ok && other.Code == r.Code
}
