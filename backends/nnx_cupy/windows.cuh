// Windows that move over images: see `nnx.interface.Window`, whose numbers a kernel is given as they stand here.

#define WINDOW_PARAMETERS                                                                                       \
    Index images, int height, int width, int places_down, int places_along, int taps_down, int taps_along,      \
        int stride_down, int stride_along, int before_down, int before_along, int dilation_down, int dilation_along
#define WINDOW                                                                                               \
    {images,       height,       width,       places_down,   places_along,   taps_down, taps_along, stride_down, \
     stride_along, before_down,  before_along, dilation_down, dilation_along}

// Which place of an image, or which of its pixels, or -1 in `down` for none.
struct Place {
    Index image;
    int down, along;
};

__device__ __forceinline__ Place place_of(Index i, int rows, int columns) {
    const Index line = quotient(i, columns), image = quotient(line, rows);
    return {image, static_cast<int>(line - image * rows), static_cast<int>(i - line * columns)};
}

struct Window {
    Index images;
    int height, width, places_down, places_along, taps_down, taps_along, stride_down, stride_along, before_down,
        before_along, dilation_down, dilation_along;

    __device__ __forceinline__ Index pixels() const { return images * height * width; }
    __device__ __forceinline__ Index places() const { return images * places_down * places_along; }
    __device__ __forceinline__ int taps() const { return taps_down * taps_along; }

    // The pixel under the first tap at a place; it may lie outside of the image.
    __device__ __forceinline__ Place corner_of(Index i) const {
        Place at = place_of(i, places_down, places_along);
        at.down = at.down * stride_down - before_down, at.along = at.along * stride_along - before_along;
        return at;
    }
    // A pixel as it is counted with the padding.
    __device__ __forceinline__ Place padded_pixel(Index i) const {
        Place at = place_of(i, height, width);
        at.down += before_down, at.along += before_along;
        return at;
    }
    // The pixel that lies so far from a corner, -1 in the padding.
    __device__ __forceinline__ Index pixel(const Place& corner, int down, int along) const {
        const int row = corner.down + down, column = corner.along + along;
        const bool inside = 0 <= row && row < height && 0 <= column && column < width;
        return inside ? (corner.image * height + row) * width + column : -1;
    }
    // The place from whose corner a padded pixel lies so far, -1 if there is none.
    __device__ __forceinline__ Index place(const Place& padded, int down, int along) const {
        int p = padded.down - down, q = padded.along - along;
        if (p < 0 || q < 0) return -1;
        if (stride_down > 1 || stride_along > 1) {
            const int row = p, column = q;
            p /= stride_down, q /= stride_along;
            if (p * stride_down != row || q * stride_along != column) return -1;
        }
        return p < places_down && q < places_along ? (padded.image * places_down + p) * places_along + q : -1;
    }
};
