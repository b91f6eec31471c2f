//go:build unix

package stack

import (
	"errors"
	"os"
	"syscall"
)

// lockExclusively holds the file until it is closed or the process ends.
func lockExclusively(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrDataInUse
	}
	return err
}
