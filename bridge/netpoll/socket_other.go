//go:build !unix

package netpoll

import "errors"

// rawSockets is off where descriptors cannot be read and written directly.
const rawSockets = false

func readNow(uintptr, []byte) (int, error)  { return 0, errors.ErrUnsupported }
func writeNow(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }
func wouldBlock(error) bool                 { return false }
