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

// Ending says whose memberships a fact ends, by the fields of its data.
type Ending struct {
	Users  string // a user or a list of users
	Public string // unless it is true, that of everyone; "" where everyone's does not end
}

// Of lists whose memberships a fact with such data ends; "" stands for everyone.
func (e Ending) Of(data []byte) (users []string) {
	var fields map[string]any
	if json.Unmarshal(data, &fields) != nil {
		return nil
	}
	named, list := fields[e.Users].([]any)
	if !list {
		named = []any{fields[e.Users]}
	}
	for _, value := range named {
		if user, _ := value.(string); user != "" {
			users = append(users, user)
		}
	}
	if public, _ := fields[e.Public].(bool); e.Public != "" && !public {
		users = append(users, "")
	}
	return users
}
