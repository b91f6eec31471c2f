package stack

import (
	"syscall"
	"time"
)

// identityOf looks at a file or folder.
func identityOf(name string) fileIdentity {
	var stat syscall.Stat_t
	if syscall.Stat(name, &stat) != nil {
		return fileIdentity{}
	}
	return fileIdentity{inode: stat.Ino, changed: time.Unix(stat.Ctim.Unix())}
}
