// Arrays behind each other in one: part blockIdx.y of PARTS is p[blockIdx.y], of n[blockIdx.y] numbers.
// The addresses come along with the launch: a table of them would have to be sent to the device first.
constexpr int PARTS = 16;

extern "C" __global__ void pieces(
    REAL* out, const REAL* p0, const REAL* p1, const REAL* p2, const REAL* p3, const REAL* p4, const REAL* p5, const REAL* p6,
    const REAL* p7, const REAL* p8, const REAL* p9, const REAL* p10, const REAL* p11, const REAL* p12, const REAL* p13,
    const REAL* p14, const REAL* p15, long long n0, long long n1, long long n2, long long n3, long long n4, long long n5,
    long long n6, long long n7, long long n8, long long n9, long long n10, long long n11, long long n12, long long n13,
    long long n14, long long n15) {
  const REAL* p[PARTS] = {p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15};
  const long long n[PARTS] = {n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11, n12, n13, n14, n15};
  const REAL* part = nullptr;
  long long count = 0, start = 0;
#pragma unroll
  for (int k = 0; k < PARTS; k++) {
    if (k < blockIdx.y) start += n[k];
    if (k == blockIdx.y) {
      part = p[k];
      count = n[k];
    }
  }
  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) out[start + i] = part[i];
}
