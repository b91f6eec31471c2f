package simulation

// marks count states that are worth reaching.
type marks map[string]int

func (m marks) at(what string) { m[what]++ }

// sometimes are those that a run has to reach: one that does not tests less than it
// says.
var sometimes = []string{
	"a bridge died", "a browser begins anew", "a browser has seen more than its bridge", "a browser waits for a page",
	"a channel begins anew", "a gap is told", "a link is cut", "a mending is repeated", "a message comes late",
	"a message comes twice", "a message is lost", "a page is read", "a past is doubted", "a read asks the leader",
	"a ring proves a position", "an answer is lost", "an epoch is taken", "another leader",
}
