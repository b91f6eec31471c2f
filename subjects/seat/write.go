package seat

import (
	"crypto/rand"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
)

// Where the entries are, as streams have it.
const (
	Stream = "KV_" + subjects.BucketPresence
	Keys   = "$KV." + subjects.BucketPresence + "."
)

// headerOperation says that a value stands for none, as tools for buckets write it.
const (
	headerOperation = "KV-Operation"
	operationDelete = "DEL"
)

// headerGeneration says for which connection of its session an entry speaks.
const headerGeneration = "Latido-Generation"

// Hold is the message that writes an entry of a key. Its id makes a repetition
// harmless: asked again because the answer was late, it must not undo what came
// after it.
func Hold(key string, value []byte) *nats.Msg {
	msg := nats.NewMsg(Keys + key)
	msg.Header.Set(nats.MsgIdHdr, rand.Text())
	msg.Data = value
	return msg
}

// Wait is the message that has the entry of a key, if it is as it was left, wait
// for its session. The value's grace says how long; the server drops it some time
// later.
func Wait(key string, value []byte, revision uint64, grace time.Duration) *nats.Msg {
	msg := Hold(key, value)
	ExpectRevision(msg, revision)
	expire(msg, grace)
	return msg
}

// Leave is the message that ends the entry of a key. It stays for longer than any
// wait that it must end.
func Leave(key string, grace time.Duration) *nats.Msg {
	msg := Hold(key, nil)
	msg.Header.Set(headerOperation, operationDelete)
	expire(msg, grace)
	return msg
}

// ExpectRevision has a message refused if the entry is not as it was left; 0 is an
// entry that is not there.
func ExpectRevision(msg *nats.Msg, revision uint64) {
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(revision, 10))
}

// SetGeneration says for which connection of its session a message speaks.
func SetGeneration(msg *nats.Msg, generation uint64) {
	msg.Header.Set(headerGeneration, strconv.FormatUint(generation, 10))
}

// expire gives a message a time to live, which is in whole seconds.
func expire(msg *nats.Msg, grace time.Duration) {
	seconds := int((grace + topology.MarkerTTL + time.Second - 1) / time.Second)
	msg.Header.Set(jetstream.MsgTTLHeader, strconv.Itoa(seconds))
}
