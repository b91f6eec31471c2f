package eventstream

import (
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// An id is a key, which may be empty, and a position for each channel whose events are
// stored, separated by commas: which channel, its sequence, the time of that one, in
// nanoseconds or empty, both in base 36, and the epoch, separated by dots. Channels go
// by a part of their hash, so that an id has no more than about 60 bytes for each.
const separator = ','

var epochs = regexp.MustCompile(`^[0-9A-Za-z-]{0,64}$`)

// CheckEpoch refuses what no epoch of ours looks like.
func CheckEpoch(epoch string) error {
	if !epochs.MatchString(epoch) {
		return schemas.Refuse(schemas.InvalidData, "epoch: as it was told")
	}
	return nil
}

func positionText(channel string, p wire.Position) string {
	at := ""
	if !p.At.IsZero() {
		at = strconv.FormatInt(p.At.UnixNano(), 36)
	}
	return hashOf(channel) + "." + strconv.FormatUint(p.Sequence, 36) + "." + at + "." + p.Epoch
}

// hashOf is short: it tells apart the channels of one stream.
func hashOf(channel string) string {
	sum := sha256.Sum256([]byte(channel))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// Place is where a reader stood when an id was told.
type Place struct {
	Key       string // see [New]
	positions map[string]wire.Position
}

// Of is the position on a channel, nil when none was told.
func (p Place) Of(channel string) *wire.Position {
	if position, known := p.positions[hashOf(channel)]; known {
		return &position
	}
	return nil
}

var errID = schemas.Refuse(schemas.InvalidData, "the last event's id: as it was told")

// ReadID reads an id; "" is that of nothing.
func ReadID(id string) (Place, error) {
	key, rest, several := strings.Cut(id, string(separator))
	place := Place{Key: key, positions: make(map[string]wire.Position)}
	for several {
		var text string
		text, rest, several = strings.Cut(rest, string(separator))
		parts := strings.Split(text, ".")
		if len(parts) != 4 || CheckEpoch(parts[3]) != nil {
			return Place{}, errID
		}
		sequence, err := strconv.ParseUint(parts[1], 36, 53)
		if err != nil {
			return Place{}, errID
		}
		position := wire.Position{Epoch: parts[3], Sequence: sequence}
		if parts[2] != "" {
			nanoseconds, err := strconv.ParseInt(parts[2], 36, 64)
			if err != nil {
				return Place{}, errID
			}
			position.At = time.Unix(0, nanoseconds).UTC()
		}
		place.positions[parts[0]] = position
	}
	return place, nil
}
