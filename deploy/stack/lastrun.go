package stack

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// runFile tells the next run how the last one ended.
const runFile = "latido-run"

// lastRun is what a run leaves in its data folder. The streams are what they were
// when it ended, if the folder is the same one and nothing was lost on the way:
// a copy of it has another inode or another change time.
type lastRun struct {
	Boot  string    `json:"boot"`  // of the machine: without a stop, what was not flushed is lost with it
	Clean bool      `json:"clean"` // it ended in order
	File  uint64    `json:"file"`  // inode of this file
	Store uint64    `json:"store"` // and of the folder of the streams
	At    time.Time `json:"at"`    // when this was written
}

// copySlack is by how much the change time of the file may be after what the file
// says.
const copySlack = 2 * time.Second

// loss is what a folder may have lost since it was last seen.
type loss int

const (
	lostNothing loss = iota
	lostRelaxed      // what is acknowledged before it is written
	lostFlushes      // what is acknowledged before it is flushed
	lostAnything
)

// sinceLastRun says what may be lost.
func (d *dataFolder) sinceLastRun() loss {
	name := filepath.Join(d.path, runFile)
	var last lastRun
	content, err := os.ReadFile(name)
	if os.IsNotExist(err) && identityOf(filepath.Join(d.path, storeFolder)).inode == 0 {
		return lostNothing // there was none
	}
	file := identityOf(name)
	switch {
	case err != nil || json.Unmarshal(content, &last) != nil:
		return lostAnything
	case last.File != file.inode || last.Store != identityOf(filepath.Join(d.path, storeFolder)).inode:
		return lostAnything
	case !file.changed.IsZero() && file.changed.Sub(last.At) > copySlack:
		return lostAnything
	case last.Clean:
		return lostNothing
	case last.Boot != bootID():
		return lostFlushes
	}
	return lostRelaxed
}

// storeFolder is where the server keeps its streams below the data folder.
const storeFolder = "jetstream"

// markRun writes what the next run has to know.
func (d *dataFolder) markRun(clean bool) error {
	name := filepath.Join(d.path, runFile)
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	content, err := json.Marshal(lastRun{
		Boot: bootID(), Clean: clean, At: time.Now(),
		File: identityOf(name).inode, Store: identityOf(filepath.Join(d.path, storeFolder)).inode,
	})
	if err == nil {
		err = file.Truncate(0)
	}
	if err == nil {
		_, err = file.Write(append(content, '\n'))
	}
	if err == nil {
		err = file.Sync()
	}
	d.begun = true
	return errors.Join(err, file.Close())
}

// bootID changes each time the machine starts; "" where nobody says it.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// fileIdentity tells a file from a copy of it; zero where the system does not say.
type fileIdentity struct {
	inode   uint64
	changed time.Time
}
