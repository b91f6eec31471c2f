package subjects

import (
	"encoding/json"
	"slices"
)

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

// Ending says whose memberships a fact ends, by the fields of its data.
type Ending struct {
	Users string // a user or a list of users
	// Only are fields like it, of a fact that says who all the members are: it ends the
	// memberships of all others, whatever happened before.
	Only   []string
	Public string // with Only: unless it is true, everyone is among the others
}

// Ended is whose memberships a fact ends. The zero value is nobody's.
type Ended struct {
	users  []string
	others bool // all but those of the users
}

// Any says whether it is anybody's.
func (e Ended) Any() bool { return e.others || len(e.users) > 0 }

// Has says whether it is a user's, or that of everyone, "".
func (e Ended) Has(user string) bool { return slices.Contains(e.users, user) != e.others }

// Of says whose memberships a fact with such data ends: nobody's, if it cannot be read.
func (e Ending) Of(data []byte) Ended {
	var fields map[string]any
	if json.Unmarshal(data, &fields) != nil {
		return Ended{}
	}
	named := e.Only
	if len(e.Only) == 0 {
		named = []string{e.Users}
	}
	ended := Ended{others: len(e.Only) > 0}
	for _, name := range named {
		users, fits := usersIn(fields[name])
		if !fits {
			return Ended{}
		}
		ended.users = append(ended.users, users...)
	}
	if public, _ := fields[e.Public].(bool); ended.others && public {
		ended.users = append(ended.users, "")
	}
	return ended
}

// usersIn reads a field that holds a user, a list of users, or nothing.
func usersIn(field any) (users []string, fits bool) {
	switch field := field.(type) {
	case nil:
		return nil, true
	case string:
		return usersIn([]any{field})
	case []any:
		for _, value := range field {
			if user, _ := value.(string); user != "" {
				users = append(users, user)
			}
		}
		return users, true
	}
	return nil, false
}
