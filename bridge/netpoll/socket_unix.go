//go:build unix

package netpoll

import (
	"errors"
	"syscall"
)

const rawSockets = true

func readNow(fd uintptr, buffer []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), buffer)
		if !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}

func writeNow(fd uintptr, data []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), data)
		if !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}

func wouldBlock(err error) bool { return errors.Is(err, syscall.EAGAIN) }
