package kit

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// dropping reads the server's side of the NATS protocol without the deliveries that get
// lost. It is made of lines, of which MSG and HMSG end with the size of a body that
// follows.
type dropping struct {
	from *bufio.Reader
	drop func(subject string) bool
	rest []byte // of what was read last
}

func (d *dropping) Read(into []byte) (int, error) {
	for len(d.rest) == 0 {
		if err := d.next(); err != nil {
			return 0, err
		}
	}
	n := copy(into, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

func (d *dropping) next() error {
	line, err := d.from.ReadString('\n')
	if err != nil {
		return err
	}
	d.rest = []byte(line)
	fields := strings.Fields(line)
	if len(fields) < 4 || fields[0] != "MSG" && fields[0] != "HMSG" {
		return nil
	}
	size, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil {
		return fmt.Errorf("line %q: %w", line, err)
	}
	body := make([]byte, size+len("\r\n"))
	if _, err := io.ReadFull(d.from, body); err != nil {
		return err
	}
	if d.rest = append(d.rest, body...); d.drop(fields[1]) {
		d.rest = nil
	}
	return nil
}

// drop decides about a delivery, and counts it.
func (p *Proxy) drop(subject string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drops == nil || !p.drops(subject) {
		return false
	}
	p.dropped++
	return true
}
