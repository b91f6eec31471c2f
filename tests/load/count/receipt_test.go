package count

import "testing"

func TestReceipt(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		came              []uint32
		published         uint32
		lost, twice, late uint64
	}{
		"nothing of nothing":   {},
		"all in order":         {came: []uint32{0, 1, 2}, published: 3},
		"the last is missing":  {came: []uint32{0, 1}, published: 3, lost: 1},
		"the first is missing": {came: []uint32{1, 2}, published: 3, lost: 1},
		"a hole":               {came: []uint32{0, 4}, published: 5, lost: 3},
		"a hole filled late":   {came: []uint32{0, 3, 2, 1}, published: 4, late: 2},
		"a hole split":         {came: []uint32{0, 4, 2}, published: 5, lost: 2, late: 1},
		"two holes, one left":  {came: []uint32{1, 3, 0}, published: 4, lost: 1, late: 1},
		"repeated at once":     {came: []uint32{0, 0, 1}, published: 2, twice: 1},
		"repeated from before": {came: []uint32{0, 1, 2, 0, 1}, published: 3, twice: 2},
		"late, then again":     {came: []uint32{1, 0, 0}, published: 2, twice: 1, late: 1},
	} {
		var r Receipt
		for _, number := range row.came {
			r.Note(number)
		}
		if r.Lost(row.published) != row.lost || r.Twice() != row.twice || r.Late() != row.late {
			t.Errorf("%s: lost %d, twice %d, late %d; want %d, %d, %d", name, r.Lost(row.published), r.Twice(), r.Late(), row.lost, row.twice, row.late)
		}
	}
}

func BenchmarkNote(b *testing.B) {
	var r Receipt
	var number uint32
	for b.Loop() {
		r.Note(number)
		number++
	}
}
