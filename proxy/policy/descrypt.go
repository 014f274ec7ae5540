package policy

import "strings"

// The tables of DES (FIPS 46-3), in its own numbering of bits from 1. crypto/des cannot be used:
// crypt(3) changes the expansion by its salt.
var (
	desIP = [...]byte{
		58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4, 62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48, 40, 32, 24, 16, 8,
		57, 49, 41, 33, 25, 17, 9, 1, 59, 51, 43, 35, 27, 19, 11, 3, 61, 53, 45, 37, 29, 21, 13, 5, 63, 55, 47, 39, 31, 23, 15, 7,
	}
	desFP = [...]byte{
		40, 8, 48, 16, 56, 24, 64, 32, 39, 7, 47, 15, 55, 23, 63, 31, 38, 6, 46, 14, 54, 22, 62, 30, 37, 5, 45, 13, 53, 21, 61, 29,
		36, 4, 44, 12, 52, 20, 60, 28, 35, 3, 43, 11, 51, 19, 59, 27, 34, 2, 42, 10, 50, 18, 58, 26, 33, 1, 41, 9, 49, 17, 57, 25,
	}
	desE = [...]byte{
		32, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9, 8, 9, 10, 11, 12, 13, 12, 13, 14, 15, 16, 17,
		16, 17, 18, 19, 20, 21, 20, 21, 22, 23, 24, 25, 24, 25, 26, 27, 28, 29, 28, 29, 30, 31, 32, 1,
	}
	desP   = [...]byte{16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25}
	desPC1 = [...]byte{
		57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
		63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
	}
	desPC2 = [...]byte{
		14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
		41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
	}
	desShifts = [16]int{1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1}
	desS      = [8]string{
		"e4d12fb83a6c5907" + "0f74e2d1a6cb9538" + "41e8d62bfc973a50" + "fc8249175b3ea06d",
		"f18e6b34972dc05a" + "3d47f28ec01a69b5" + "0e7ba4d158c6932f" + "d8a13f42b67c05e9",
		"a09e63f51dc7b428" + "d709346a285ecbf1" + "d6498f30b12c5ae7" + "1ad069874fe3b52c",
		"7de3069a1285bc4f" + "d8b56f03472c1ae9" + "a690cb7df13e5284" + "3f06a1d8945bc72e",
		"2c417ab6853fd0e9" + "eb2c47d150fa3986" + "421bad78f9c5630e" + "b8c71e2d6f09a453",
		"c1af92680d34e75b" + "af427c9561de0b38" + "9ef528c3704a1db6" + "432c95fabe17608d",
		"4b2ef08d3c975a61" + "d0b7491ae35c2f86" + "14bdc37eaf680592" + "6bd814a7950fe23c",
		"d2846fb1a93e50c7" + "1fd8a374c56b0e92" + "7b419ce206adf358" + "21e74a8dfc90356b",
	}
)

// permute picks bits of v, which has size bits.
func permute(v uint64, size int, table []byte) uint64 {
	var out uint64
	for _, bit := range table {
		out = out<<1 | v>>(size-int(bit))&1
	}
	return out
}

// desCrypt is the crypt(3) of Unix: DES, 25 times, of zeros. Only the first eight bytes of a
// password count.
func desCrypt(salt, password string) string {
	var key uint64
	for i := range 8 {
		key <<= 8
		if i < len(password) {
			key |= uint64(password[i]) << 1 & 0xff
		}
	}
	saltBits := strings.IndexByte(crypt64, salt[0]) | strings.IndexByte(crypt64, salt[1])<<6
	var keys [16]uint64
	cd := permute(key, 64, desPC1[:])
	c, d := uint32(cd>>28), uint32(cd&(1<<28-1))
	for i, n := range desShifts {
		c = (c<<n | c>>(28-n)) & (1<<28 - 1)
		d = (d<<n | d>>(28-n)) & (1<<28 - 1)
		keys[i] = permute(uint64(c)<<28|uint64(d), 56, desPC2[:])
	}
	var block uint64
	for range 25 {
		block = permute(block, 64, desIP[:])
		l, r := uint32(block>>32), uint32(block)
		for _, k := range keys {
			l, r = r, l^desRound(r, k, saltBits)
		}
		block = permute(uint64(r)<<32|uint64(l), 64, desFP[:])
	}
	out := []byte(salt)
	for i := range 11 {
		// Six bits from the top; the last digit has two bits of padding.
		v := block << (6 * i) >> 58
		out = append(out, crypt64[v])
	}
	return string(out)
}

func desRound(r uint32, key uint64, salt int) uint32 {
	e := permute(uint64(r), 32, desE[:])
	for i := range 12 {
		if salt>>i&1 != 0 {
			// Swap bit i with bit i+24, counted from the front.
			a, b := 47-i, 23-i
			if x := (e>>a ^ e>>b) & 1; x != 0 {
				e ^= 1<<a | 1<<b
			}
		}
	}
	e ^= key
	var out uint64
	for i, box := range desS {
		six := e >> (42 - 6*i) & 63
		row := six>>4&2 | six&1
		digit := box[row*16+six>>1&15]
		v := uint64(digit - '0')
		if digit >= 'a' {
			v = uint64(digit-'a') + 10
		}
		out = out<<4 | v
	}
	return uint32(permute(out, 32, desP[:]))
}
