package kit

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// lossy reads the server's side of the NATS protocol without the deliveries that get
// lost. It is made of lines, of which MSG and HMSG end with the size of a body that
// follows.
type lossy struct {
	from *bufio.Reader
	lose func(subject string) bool
	rest []byte // of what was read last
}

func (l *lossy) Read(into []byte) (int, error) {
	for len(l.rest) == 0 {
		if err := l.next(); err != nil {
			return 0, err
		}
	}
	n := copy(into, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

func (l *lossy) next() error {
	line, err := l.from.ReadString('\n')
	if err != nil {
		return err
	}
	l.rest = []byte(line)
	fields := strings.Fields(line)
	if len(fields) < 4 || fields[0] != "MSG" && fields[0] != "HMSG" {
		return nil
	}
	size, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil {
		return fmt.Errorf("line %q: %w", line, err)
	}
	body := make([]byte, size+len("\r\n"))
	if _, err := io.ReadFull(l.from, body); err != nil {
		return err
	}
	if l.rest = append(l.rest, body...); l.lose(fields[1]) {
		l.rest = nil
	}
	return nil
}

// lose decides about a delivery, and counts it.
func (p *Proxy) lose(subject string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loses == nil || !p.loses(subject) {
		return false
	}
	p.lost++
	return true
}
