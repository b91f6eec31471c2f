package subjects

import (
	"strconv"
	"strings"
	"time"
)

// MetadataRenewal is the key of a stream's metadata that changes when the stream
// has lost messages which readers may have seen; it is part of the epoch. It is when
// that was, as nanoseconds since 1970 in base 36.
const MetadataRenewal = "latido-renewal"

// Epoch is the identity of a stream: when it was created, and, if it has lost
// something since, when that was noticed.
func Epoch(created time.Time, metadata map[string]string) string {
	epoch := strconv.FormatInt(created.UnixNano(), 36)
	if renewal := metadata[MetadataRenewal]; renewal != "" {
		epoch += "-" + renewal
	}
	return epoch
}

// EpochBegan is when an epoch began, in nanoseconds since 1970; 0 for what is none. Of
// one stream the epochs follow on one another: to find an older one there than was
// seen is to find an older past.
func EpochBegan(epoch string) int64 {
	created, renewal, _ := strings.Cut(epoch, "-")
	began, _ := strconv.ParseInt(created, 36, 64)
	renewed, _ := strconv.ParseInt(renewal, 36, 64)
	return max(began, renewed)
}

// Lost is the subject on which whoever declares a stream is told that it has another
// past than one that was seen, and proves it: the request is a [Place] as JSON. An
// answer without data says that the epoch is another than that one's, and newer, since
// before or from now on; otherwise it is why not.
func Lost(stream string) string { return "lost." + stream }

// Place is a message of a stream that was seen.
type Place struct {
	Epoch    string    `json:"epoch"` // of the stream, when it was seen
	Sequence uint64    `json:"seq"`
	At       time.Time `json:"at"` // when it was stored; zero when that is not known
}
