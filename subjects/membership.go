package subjects

import "encoding/json"

// Membership is the value of a key in the bucket "members", and in those that are
// kept like it.
type Membership struct {
	Role string `json:"role"` // "" when the user belongs to the channel no more
	Seq  uint64 `json:"seq"`  // of the channel's fact that it is true of; 0 when it names none
}

// ReadMembership reads a value. One that nobody can read is no membership, the zero
// value: whoever writes it next replaces it.
func ReadMembership(value []byte) (m Membership) {
	if json.Unmarshal(value, &m) != nil {
		return Membership{}
	}
	return m
}
