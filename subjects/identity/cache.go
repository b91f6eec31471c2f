package identity

import (
	"crypto/sha256"
	"sync"
	"time"
)

// remembered is how many tokens the cache knows, at most.
const remembered = 4096

// cache knows who the newest good tokens are of, so that a token is verified once
// and not for each command. What was known under other keys is forgotten: a key
// that was taken back verifies nothing any more. The zero value is ready.
type cache struct {
	mu    sync.Mutex
	keys  *keySet // that all entries were verified under
	young map[[sha256.Size]byte]Identity
	old   map[[sha256.Size]byte]Identity // displaced when young is half of the bound
}

func (c *cache) find(digest [sha256.Size]byte, keys *keySet, now time.Time) (Identity, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys != keys {
		return Identity{}, false
	}
	id, known := c.young[digest]
	if !known {
		if id, known = c.old[digest]; known {
			c.put(digest, id)
		}
	}
	return id, known && now.Before(id.Expires)
}

func (c *cache) keep(digest [sha256.Size]byte, keys *keySet, id Identity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys != keys {
		if !keys.newer(c.keys) {
			return // verified while newer keys came
		}
		c.keys, c.young, c.old = keys, nil, nil
	}
	c.put(digest, id)
}

func (c *cache) put(digest [sha256.Size]byte, id Identity) {
	if c.young == nil || len(c.young) >= remembered/2 {
		c.old, c.young = c.young, make(map[[sha256.Size]byte]Identity)
	}
	c.young[digest] = id
}
