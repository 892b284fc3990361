#include "io/hdf5_rows.h"

#include "io/bytes.h"
#include "io/hdf5_handle.h"
#include "kernels/base/check.h"

namespace alm::io {

std::string RowRequest::subject() const {
  return format("%s, data set %s, rows %lld to %lld", path.c_str(), set.path.c_str(),
                static_cast<long long>(first), static_cast<long long>(last - 1));
}

std::string RowRequest::pack() const {
  BytesWriter to;
  to.put_text(path);
  to.put_text(set.path);
  to.put(set.type);
  to.put(set.dimensions);
  to.put(set.width);
  to.put(first);
  to.put(last);
  return to.take();
}

RowRequest RowRequest::unpack(const std::string& packed) {
  BytesReader from(packed);
  RowRequest request;
  request.path = from.get_text();
  request.set.path = from.get_text();
  request.set.type = from.get<NumberType>();
  request.set.dimensions = from.get<int64_t>();
  request.set.width = from.get<int64_t>();
  request.first = from.get<int64_t>();
  request.last = from.get<int64_t>();
  return request;
}

void read_rows_here(const RowRequest& request, std::byte* out) {
  const Hdf5Session session;
  const Hdf5Id file = hdf5_open(request.path);
  if (file && read_by_hdf5(file.get(), request.set, request.first, request.last, out)) return;
  throw UserError(request.subject() + ": HDF5 cannot read them: " + hdf5_error());
}

}  // namespace alm::io
