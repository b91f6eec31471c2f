package presence

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/latido/latido/schemas/presence"
)

func load(t *testing.T, name string) *time.Location {
	t.Helper()
	place, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return place
}

var daily = []int{1, 2, 3, 4, 5, 6, 7}

// What is planned for an hour that the clocks skip begins when they go on, and for
// one that comes twice, the first time.
func TestPlansWhereClocksChange(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		zone, start, end string
		days             []int
		day              string
		from, until      string // in UTC
	}{
		"midnight is skipped":               {"America/Santiago", "00:00", "08:00", []int{7}, "2026-09-06", "2026-09-06T04:00:00Z", "2026-09-06T11:00:00Z"},
		"the begin is skipped":              {"Europe/Madrid", "02:30", "04:00", []int{7}, "2026-03-29", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"},
		"the end is skipped":                {"Europe/Madrid", "01:00", "02:30", []int{7}, "2026-03-29", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"},
		"all of it is skipped":              {"Europe/Madrid", "02:10", "02:40", []int{7}, "2026-03-29", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"},
		"half an hour is skipped":           {"Australia/Lord_Howe", "02:15", "03:00", []int{7}, "2026-10-04", "2026-10-03T15:30:00Z", "2026-10-03T16:00:00Z"},
		"the begin comes twice":             {"Europe/Madrid", "02:30", "04:00", []int{7}, "2026-10-25", "2026-10-25T00:30:00Z", "2026-10-25T03:00:00Z"},
		"the end comes twice":               {"Europe/Madrid", "01:00", "02:30", []int{7}, "2026-10-25", "2026-10-24T23:00:00Z", "2026-10-25T00:30:00Z"},
		"both come twice":                   {"Europe/Madrid", "02:10", "02:40", []int{7}, "2026-10-25", "2026-10-25T00:10:00Z", "2026-10-25T00:40:00Z"},
		"over the midnight that is skipped": {"America/Santiago", "22:00", "06:00", []int{6}, "2026-09-05", "2026-09-06T02:00:00Z", "2026-09-06T09:00:00Z"},
		"until the midnight that is skipped": {
			"America/Santiago", "22:00", "00:00", []int{6}, "2026-09-05", "2026-09-06T02:00:00Z", "2026-09-06T04:00:00Z",
		},
		"all day, in summer's last": {"Europe/Madrid", "00:00", "00:00", []int{7}, "2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"},
	} {
		day, err := time.ParseInLocation(time.DateOnly, row.day, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		plan := presence.Schedule{Weekly: &presence.Weekly{Days: row.days, Start: row.start, End: row.end, TimeZone: row.zone}}
		var got []string
		for from, until := range windows(plan, day) {
			if until.After(day.Add(-12*time.Hour)) && from.Before(day.Add(36*time.Hour)) {
				got = append(got, from.Format(time.RFC3339)+" "+until.Format(time.RFC3339))
			}
		}
		if want := []string{row.from + " " + row.until}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// zones are those of the machine; what is compiled in cannot be listed.
func zones(t *testing.T) []string {
	t.Helper()
	const root = "/usr/share/zoneinfo"
	var names []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		if entry.IsDir() && slices.Contains([]string{"posix", "right", "Etc"}, name) {
			return fs.SkipDir
		}
		if _, err := time.LoadLocation(name); err == nil && !entry.IsDir() && strings.Contains(name, "/") {
			names = append(names, name)
		}
		return nil
	})
	if os.IsNotExist(err) || len(names) == 0 {
		return []string{
			"Europe/Madrid", "Europe/Dublin", "America/Santiago", "America/Havana", "America/New_York", "America/Asuncion", "America/Sao_Paulo",
			"Australia/Lord_Howe", "Australia/Sydney", "Africa/Casablanca", "Africa/Cairo", "Asia/Beirut", "Asia/Gaza", "Asia/Tehran",
			"Pacific/Chatham", "Pacific/Easter", "Antarctica/Troll", "America/Nuuk", "America/Scoresbysund", "Asia/Kathmandu",
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Whatever a zone's clocks do, a daily plan holds once on each day: never missed,
// never twice, and never before the last one has ended.
func TestADailyPlanHoldsOncePerDay(t *testing.T) {
	t.Parallel()
	times := []string{"00:00", "00:30", "01:30", "02:00", "02:15", "03:00", "23:30"}
	known := make(map[string]bool) // rules: many zones share them
	for _, name := range zones(t) {
		place := load(t, name)
		all := changes(place)
		if rule := fmt.Sprint(all, time.Unix(0, 0).In(place).Format("-0700")); known[rule] {
			continue
		} else if known[rule] = true; len(all) > 4 && testing.Short() {
			all = all[:4]
		}
		for _, change := range all {
			for _, start := range times {
				for _, end := range []string{"00:00", "02:30", start} {
					weekly := &presence.Weekly{Days: daily, Start: start, End: end, TimeZone: name}
					checkDays(t, presence.Schedule{Weekly: weekly}, change.In(place))
				}
			}
		}
	}
}

// changes are the transitions of 2024 to 2030.
func changes(place *time.Location) []time.Time {
	var all []time.Time
	end := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	for at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC); ; {
		_, next := at.In(place).ZoneBounds()
		if next.IsZero() || next.After(end) {
			return all
		}
		all, at = append(all, next), next
	}
}

func checkDays(t *testing.T, plan presence.Schedule, change time.Time) {
	t.Helper()
	at := change.Add(-36 * time.Hour)
	var before time.Time // when the window before ended
	days := 0
	for from, until := range windows(plan, at) {
		days++
		switch {
		case !until.After(from):
			t.Fatalf("%+v: empty from %v", *plan.Weekly, from)
		case from.Before(before):
			t.Fatalf("%+v: begins at %v, before the one before has ended at %v", *plan.Weekly, from, before)
		case until.Sub(from) > 26*time.Hour:
			t.Fatalf("%+v: lasts %v", *plan.Weekly, until.Sub(from))
		}
		begun, _, on := window(plan, from)
		if !on || !begun.Equal(from) {
			t.Fatalf("%+v: does not hold at its begin, %v", *plan.Weekly, from)
		}
		if _, _, on := window(plan, until.Add(-time.Second)); !on {
			t.Fatalf("%+v: does not hold right before its end, %v", *plan.Weekly, until)
		}
		before = until
	}
	if days != 9 {
		t.Fatalf("%+v: holds on %d of 9 days around %v", *plan.Weekly, days, change)
	}
}

// Of the hours during which a weekly plan begins or ends those count that lie within
// it, be it today's or those of last night.
func TestAWeeklyPlanBeginsAndEndsWithinItsHours(t *testing.T) {
	t.Parallel()
	const day = "2026-03-02T"
	for name, row := range map[string]struct {
		start, end, from, until string // of the plan
		begins, ends            string // of the first hours
	}{
		"before its hours":     {"09:00", "17:00", "08:00", "", "09:00", "17:00"},
		"at their begin":       {"09:00", "17:00", "09:00", "", "09:00", "17:00"},
		"within them":          {"09:00", "17:00", "12:30", "", "12:30", "17:00"},
		"within last night's":  {"22:00", "06:00", "03:00", "", "03:00", "06:00"},
		"all day":              {"00:00", "00:00", "12:30", "", "12:30", "24:00"},
		"and ends within them": {"09:00", "17:00", "12:30", "13:00", "12:30", "13:00"},
	} {
		at := func(clock string) (at time.Time) {
			if clock == "" {
				return at
			}
			hours, minutes, _ := strings.Cut(clock, ":")
			length, err := time.ParseDuration(hours + "h" + minutes + "m")
			midnight, err2 := time.Parse(time.RFC3339, day+"00:00:00Z")
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			return midnight.Add(length)
		}
		plan := presence.Schedule{From: at(row.from), Until: at(row.until), Weekly: &presence.Weekly{
			Days: daily, Start: row.start, End: row.end, TimeZone: "UTC",
		}}
		from, until, on := window(plan, at(row.begins))
		if !on || !from.Equal(at(row.begins)) || !until.Equal(at(row.ends)) {
			t.Errorf("%s: from %v until %v (%v), want %s and %s", name, from, until, on, row.begins, row.ends)
		}
		if _, _, on := window(plan, from.Add(-time.Second)); on {
			t.Errorf("%s: it holds before it begins", name)
		}
	}
}
