//go:build !unix

package stack

import "os"

// lockExclusively does nothing where the standard library has no file locks; the
// embedded server's port keeps a second process away in most cases.
func lockExclusively(*os.File) error { return nil }
