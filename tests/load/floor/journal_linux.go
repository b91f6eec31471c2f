package floor

import (
	"os"

	"golang.org/x/sys/unix"
)

// journal is the file of what is stored.
type journal struct {
	file  *os.File
	flush bool // to the disk, before anyone hears of it
	fresh []byte
}

func (j *journal) add(body []byte) { j.fresh = append(append(j.fresh, body...), '\n') }

// commit stores what was added.
func (j *journal) commit() error {
	if len(j.fresh) == 0 {
		return nil
	}
	if _, err := j.file.Write(j.fresh); err != nil {
		return err
	}
	j.fresh = j.fresh[:0]
	if j.flush {
		return unix.Fdatasync(int(j.file.Fd()))
	}
	return nil
}
