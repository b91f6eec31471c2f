package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// LineKind says what a line of a transcript tells.
type LineKind int

const (
	Said    LineKind = iota // Nick wrote Text
	Joined                  // Nick came
	Left                    // Nick went
	Renamed                 // Nick is To from here on
)

// Line is one line of a transcript that matters to a replay.
type Line struct {
	Kind LineKind
	Nick string
	Text string
	To   string
}

var (
	saidLine    = regexp.MustCompile(`^\[\d\d:\d\d\] <([^>]+)>(?: (.*))?$`)
	actionLine  = regexp.MustCompile(`^\[\d\d:\d\d\]  (\* (\S+).*)$`)
	joinedLine  = regexp.MustCompile(`^=== (\S+) \[.*\]\s+has joined #`)
	leftLine    = regexp.MustCompile(`^=== (\S+) \[.*\]\s+has left #`)
	renamedLine = regexp.MustCompile(`^=== (\S+) is now known as (\S+)$`)
)

// ParseTranscript reads an IRC log, in its order. Mode and topic changes are left
// out; what is said is kept byte by byte, an action with its leading asterisk.
func ParseTranscript(r io.Reader) ([]Line, error) {
	var lines []Line
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	scanner.Split(wholeLines)
	for scanner.Scan() {
		if line, ok := parseLine(scanner.Text()); ok {
			lines = append(lines, line)
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	return lines, nil
}

// wholeLines splits at line feeds only: a carriage return may be part of what was said.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if end := bytes.IndexByte(data, '\n'); end >= 0 {
		return end + 1, data[:end], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

func parseLine(line string) (Line, bool) {
	if match := saidLine.FindStringSubmatch(line); match != nil {
		return Line{Kind: Said, Nick: strings.TrimSpace(match[1]), Text: match[2]}, true
	}
	if match := actionLine.FindStringSubmatch(line); match != nil {
		return Line{Kind: Said, Nick: match[2], Text: match[1]}, true
	}
	if match := joinedLine.FindStringSubmatch(line); match != nil {
		return Line{Kind: Joined, Nick: match[1]}, true
	}
	if match := leftLine.FindStringSubmatch(line); match != nil {
		return Line{Kind: Left, Nick: match[1]}, true
	}
	if match := renamedLine.FindStringSubmatch(line); match != nil {
		return Line{Kind: Renamed, Nick: match[1], To: match[2]}, true
	}
	return Line{}, false
}

// Part is what one person does in a transcript, whatever they are called.
type Part struct {
	User  string // the first nick
	There bool   // from before the transcript begins
	Texts []string
}

// Cast resolves nicks to persons: Lines[i] is done by By[i].
type Cast struct {
	Parts []*Part // in order of appearance
	By    []*Part
}

// CastOf finds the persons of a transcript. A nick that is taken over, as some
// are by renaming, becomes the newcomer's.
func CastOf(lines []Line) Cast {
	var cast Cast
	known, users := map[string]*Part{}, map[string]int{}
	for _, line := range lines {
		part := known[line.Nick]
		if part == nil {
			part = &Part{User: line.Nick, There: line.Kind != Joined}
			if users[line.Nick]++; users[line.Nick] > 1 {
				part.User += fmt.Sprintf("~%d", users[line.Nick])
			}
			known[line.Nick] = part
			cast.Parts = append(cast.Parts, part)
		}
		switch line.Kind {
		case Said:
			part.Texts = append(part.Texts, line.Text)
		case Renamed:
			delete(known, line.Nick)
			known[line.To] = part
		case Joined, Left:
		}
		cast.By = append(cast.By, part)
	}
	return cast
}
