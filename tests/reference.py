"""The formulas as slow loops over plain Python numbers, written from the papers and not from the package."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def per_channel(maps: np.ndarray, value) -> np.ndarray:
    """(B, C, H, W) to (B, C): `value` of the list of rows of each channel, in double precision."""
    return np.array([[value([[float(x) for x in row] for row in channel]) for channel in image] for image in maps])


def mac(maps: np.ndarray) -> np.ndarray:
    return per_channel(maps, lambda rows: max(max(row) for row in rows))


def mean(maps: np.ndarray) -> np.ndarray:
    return per_channel(maps, lambda rows: sum(sum(row) for row in rows) / (len(rows) * len(rows[0])))


def spoc_with_prior(maps: np.ndarray) -> np.ndarray:
    def weighted(rows: list[list[float]]) -> float:
        height, width = len(rows), len(rows[0])
        sigma = min(height, width) / 6
        total = weights = 0.0
        for i, row in enumerate(rows):
            for j, x in enumerate(row):
                distance2 = (i - (height - 1) / 2) ** 2 + (j - (width - 1) / 2) ** 2
                weight = math.exp(-distance2 / (2 * sigma**2))
                total += weight * x
                weights += weight
        return total / weights

    return per_channel(maps, weighted)


def gem(maps: np.ndarray, p: float) -> np.ndarray:
    def generalised_mean(rows: list[list[float]]) -> float:
        powers = [max(x, 1e-6) ** p for row in rows for x in row]
        return (sum(powers) / len(powers)) ** (1 / p)

    return per_channel(maps, generalised_mean)


def ranking(queries: np.ndarray, database: np.ndarray) -> list[list[int]]:
    """Rows by falling inner product, equal ones by row; rows of zeros last, and all of them for a query of zeros."""
    answer = []
    for query in queries:
        scores = [
            np.float32(math.fsum(float(a) * float(b) for a, b in zip(query, row, strict=True)))
            if any(query) and any(row)
            else -math.inf
            for row in database
        ]
        answer.append(sorted(range(len(database)), key=lambda row: (-scores[row], row)))
    return answer


def without_junk(results: Sequence[int], junk: set[int]) -> list[int]:
    return [row for row in results if row not in junk]


def average_precision(results: Sequence[int], positive: set[int], junk: set[int], method: str) -> float:
    """Walk down the list; after each right answer add the precision, or the mean of the precisions around it."""
    if not positive:
        return math.nan
    right, before, total = 0, 1.0, 0.0
    for seen, row in enumerate(without_junk(results, junk), start=1):
        if row in positive:
            right += 1
            after = right / seen
            total += after if method == "finite-sum" else (before + after) / 2
        before = right / seen
    return total / len(positive)


def precision_at(results: Sequence[int], positive: set[int], junk: set[int], k: int) -> float:
    if not positive:
        return math.nan
    rows = without_junk(results, junk)
    places = [place for place, row in enumerate(rows, start=1) if row in positive]
    cap = min(k, max(places)) if len(places) == len(positive) else k
    return sum(place <= cap for place in places) / cap


def recall_at(results: Sequence[int], positive: set[int], junk: set[int], k: int) -> float:
    if not positive:
        return math.nan
    return len(positive & {*without_junk(results, junk)[:k]}) / len(positive)


def retrieval_metrics(results: Sequence[int], positive: set[int], junk: set[int], k: int) -> dict[str, float]:
    """Metrics of one list, each as its sentence says it; of a query without a positive none is a number."""
    rows = without_junk(results, junk)
    right = [row in positive for row in rows]
    count = len(positive)
    found = {
        "precision@k": lambda: sum(right[:k]) / k,
        "hit@k": lambda: float(any(right[:k])),
        "recall@k": lambda: recall_at(results, positive, junk, k),
        "mp@k": lambda: precision_at(results, positive, junk, k),
        "r_precision": lambda: sum(right[:count]) / count,
        "map_r": lambda: sum(sum(right[: i + 1]) / (i + 1) for i in range(min(count, len(rows))) if right[i]) / count,
        "map@k": lambda: (
            sum(sum(right[: i + 1]) / (i + 1) for i in range(min(k, len(rows))) if right[i]) / min(count, k)
        ),
        "mrr": lambda: 1 / (right.index(True) + 1) if any(right) else 0.0,
        "ns": lambda: float(sum(right[:4])),
    }
    return {name: value() if positive else math.nan for name, value in found.items()}


def micro_average_precision(predictions: Sequence[tuple[float, bool]], with_positive: int) -> float:
    """Predictions (confidence, right) of all queries as one list; the first of equal ones comes first."""
    right, total = 0, 0.0
    for place, (_, is_right) in enumerate(sorted(predictions, key=lambda one: -one[0]), start=1):
        if is_right:
            right += 1
            total += right / place
    return total / with_positive


def hsv_bytes(red: int, green: int, blue: int) -> tuple[int, int, int]:
    """Hue in steps of 2 degrees, saturation and value in 0..255 (Smith, SIGGRAPH 1978)."""
    most, least = max(red, green, blue), min(red, green, blue)
    spread = most - least
    if spread == 0:
        hue = 0.0
    elif most == red:
        hue = 60 * (green - blue) / spread
    elif most == green:
        hue = 120 + 60 * (blue - red) / spread
    else:
        hue = 240 + 60 * (red - green) / spread
    return round(hue % 360 / 2) % 180, round(255 * spread / most) if most else 0, most


def rooted_histogram(pixels: Sequence[tuple[int, int, int]], tops: Sequence[int], bins: Sequence[int]) -> np.ndarray:
    """Square roots of the shares of pixels in a grid of equal bins; a component runs from 0 to below its top."""
    counts = [0] * math.prod(bins)
    for pixel in pixels:
        place = 0
        for value, top, count in zip(pixel, tops, bins, strict=True):
            place = place * count + value * count // top
        counts[place] += 1
    return np.array([math.sqrt(count / len(pixels)) for count in counts])


def local_binary_patterns(tones: np.ndarray, radius: int) -> list[int]:
    """Number of neighbours on the circle not darker than the pixel, or 8 r + 1 with more than two changes around it."""
    height, width = tones.shape
    points = 8 * radius

    def pixel(row: int, column: int) -> float:
        return float(tones[min(max(row, 0), height - 1), min(max(column, 0), width - 1)])

    def tone(row: float, column: float) -> float:
        top, left = math.floor(row), math.floor(column)
        down, right = row - top, column - left
        above = (1 - right) * pixel(top, left) + right * pixel(top, left + 1)
        below = (1 - right) * pixel(top + 1, left) + right * pixel(top + 1, left + 1)
        return (1 - down) * above + down * below

    codes = []
    for i in range(height):
        for j in range(width):
            around = []
            for point in range(points):
                angle = 2 * math.pi * point / points
                row, column = round(-radius * math.sin(angle), 5), round(radius * math.cos(angle), 5)
                around.append(tone(i + row, j + column) >= float(tones[i, j]))
            changes = sum(around[k] != around[k - 1] for k in range(points))
            codes.append(sum(around) if changes <= 2 else points + 1)
    return codes


def hog(image: np.ndarray, cell: int, orientations: int) -> list[float]:
    """Dalal and Triggs without interpolation between bins or cells; (H, W, 3), blocks of 2 x 2 cells, L2-Hys."""
    height, width = image.shape[:2]
    rows, columns = height // cell, width // cell
    histograms = [[[0.0] * orientations for _ in range(columns)] for _ in range(rows)]
    for i in range(rows * cell):
        for j in range(columns * cell):
            votes = []
            for channel in range(3):
                inside_i, inside_j = 0 < i < height - 1, 0 < j < width - 1
                down = float(image[i + 1, j, channel]) - float(image[i - 1, j, channel]) if inside_i else 0.0
                right = float(image[i, j + 1, channel]) - float(image[i, j - 1, channel]) if inside_j else 0.0
                votes.append((math.hypot(down, right), -channel, math.degrees(math.atan2(down, right)) % 180))
            strength, _, angle = max(votes)
            place = int(angle // (180 / orientations)) % orientations
            histograms[i // cell][j // cell][place] += strength / cell**2
    found: list[float] = []
    for i in range(rows - 1):
        for j in range(columns - 1):
            block = [value for a in (i, i + 1) for b in (j, j + 1) for value in histograms[a][b]]
            for ceiling in (0.2, math.inf):
                norm = math.sqrt(sum(value**2 for value in block) + 1e-10)
                block = [min(value / norm, ceiling) for value in block]
            found += block
    return found


def gist(tones: np.ndarray, margin: int) -> list[float]:
    """Oliva and Torralba of a square of grey values (H, H): prefilter, 4 x 8 filters, means of 4 x 4 blocks."""
    side = len(tones)
    logs = np.log(np.pad(tones.astype(np.float64), margin, mode="symmetric") + 1)
    n = len(logs)
    waves = np.array([[np.exp(-2j * math.pi * i * k / n) for k in range(n)] for i in range(n)])
    cycles = [(k if k < n / 2 else k - n) / n for k in range(n)]

    def filtered(values: np.ndarray, transfer) -> np.ndarray:
        gains = np.array([[transfer(down, right) for right in cycles] for down in cycles])
        return waves.conj() @ (waves @ values @ waves * gains) @ waves.conj() / n**2

    def low_pass(down: float, right: float) -> float:
        return math.exp(-math.log(2) * (down**2 + right**2) / (4 / side) ** 2)

    high = logs - filtered(logs, low_pass).real
    even = high / (0.2 + np.sqrt(filtered(high**2, low_pass).real))
    found = []
    for scale in range(4):
        for orientation in range(8):

            def gabor(down: float, right: float, centre=0.3 / 1.85**scale, axis=math.pi * orientation / 8) -> float:
                if down == right == 0:
                    return 0.0
                turn = math.atan2(down, right) - axis
                turn = min(abs(turn), abs(turn + 2 * math.pi))
                return math.exp(-3.5 * (math.hypot(down, right) / centre - 1) ** 2 - 2 * math.pi * turn**2)

            strength = np.abs(filtered(even, gabor))[margin : margin + side, margin : margin + side]
            step = side // 4
            for i in range(4):
                for j in range(4):
                    block = strength[i * step : (i + 1) * step, j * step : (j + 1) * step]
                    found.append(float(sum(block.ravel().tolist()) / step**2))
    return found


def jacobi(matrix: list[list[float]], sweeps: int = 30) -> tuple[list[float], list[list[float]]]:
    """Eigenvalues of a symmetric matrix, falling, and its eigenvectors as rows: one entry after another turned away."""
    size = len(matrix)
    a = [[float(x) for x in row] for row in matrix]
    v = [[float(i == j) for j in range(size)] for i in range(size)]
    for _ in range(sweeps):
        for p in range(size):
            for q in range(p + 1, size):
                angle = 0.5 * math.atan2(2 * a[p][q], a[q][q] - a[p][p])
                c, s = math.cos(angle), math.sin(angle)
                for k in range(size):
                    a[k][p], a[k][q] = c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q]
                for k in range(size):
                    a[p][k], a[q][k] = c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]
                    v[p][k], v[q][k] = c * v[p][k] - s * v[q][k], s * v[p][k] + c * v[q][k]
    order = sorted(range(size), key=lambda i: -a[i][i])
    return [a[i][i] for i in order], [v[i] for i in order]


def scatter(rows: list[list[float]]) -> list[list[float]]:
    """Sum over the rows of their products with themselves."""
    width = len(rows[0])
    return [[math.fsum(row[i] * row[j] for row in rows) for j in range(width)] for i in range(width)]


def column_means(rows: list[list[float]]) -> list[float]:
    return [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)]


def learned_whitening(X: np.ndarray, queries: Sequence[int], positives: Sequence[int]) -> tuple[list[float], list]:
    """Mean and projection (rows) of the published Lw: the inverse of a Cholesky factor, then a rotation."""
    rows = [[float(x) for x in row] for row in X]
    width = len(rows[0])
    mean = column_means([rows[q] for q in queries])
    apart = [[a - b for a, b in zip(rows[q], rows[p], strict=True)] for q, p in zip(queries, positives, strict=True)]
    s = [[x / len(apart) for x in row] for row in scatter(apart)]
    factor = [[0.0] * width for _ in range(width)]
    for i in range(width):
        for j in range(i + 1):
            rest = s[i][j] - sum(factor[i][k] * factor[j][k] for k in range(j))
            factor[i][j] = math.sqrt(rest) if i == j else rest / factor[j][j]
    inverse = [[0.0] * width for _ in range(width)]
    for column in range(width):
        for i in range(width):
            known = sum(factor[i][k] * inverse[k][column] for k in range(i))
            inverse[i][column] = (float(i == column) - known) / factor[i][i]
    shifted = [[x - m for x, m in zip(row, mean, strict=True)] for row in rows]
    whitened = [[sum(w * x for w, x in zip(line, row, strict=True)) for line in inverse] for row in shifted]
    _, axes = jacobi(scatter(whitened))
    return mean, [[sum(axis[k] * inverse[k][j] for k in range(width)) for j in range(width)] for axis in axes]


def zca(X: np.ndarray) -> np.ndarray:
    """Inverse square root of the covariance over N - 1, zero where the covariance is."""
    rows = [[float(x) for x in row] for row in X]
    mean = column_means(rows)
    shifted = [[x - m for x, m in zip(row, mean, strict=True)] for row in rows]
    values, axes = jacobi([[x / (len(rows) - 1) for x in row] for row in scatter(shifted)])
    root = np.zeros((len(mean), len(mean)))
    for value, axis in zip(values, axes, strict=True):
        if value > 1e-9 * values[0]:
            for i, a in enumerate(axis):
                for j, b in enumerate(axis):
                    root[i, j] += a * b / math.sqrt(value)
    return root


def ledoit_wolf(rows: list[list[float]]) -> float:
    """Share of the identity in the best mixture: error of the covariance over its distance from the identity's line."""
    count, width = len(rows), len(rows[0])
    cells = [(i, j) for i in range(width) for j in range(width)]
    s = [[x / count for x in row] for row in scatter(rows)]
    m = sum(s[i][i] for i in range(width)) / width
    distance = sum((s[i][j] - m * (i == j)) ** 2 for i, j in cells) / width
    error = sum((row[i] * row[j] - s[i][j]) ** 2 for row in rows for i, j in cells) / width / count**2
    return min(error, distance) / distance


def centre_prior(height: int, width: int, reach: float) -> np.ndarray:
    """Babenko and Lempitsky, eq. 4, rows against rows and columns against columns."""
    sigma = min(height, width) / 2 / reach
    weights = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            distance2 = (i - (height - 1) / 2) ** 2 + (j - (width - 1) / 2) ** 2
            weights[i, j] = math.exp(-distance2 / (2 * sigma**2))
    return weights / weights.sum()


def channel_sums(image: np.ndarray) -> np.ndarray:
    """(C, H, W) to the sum over channels (H, W)."""
    channels, height, width = image.shape
    return np.array(
        [[sum(float(image[c, i, j]) for c in range(channels)) for j in range(width)] for i in range(height)]
    )


def column_lengths(image: np.ndarray) -> np.ndarray:
    _, height, width = image.shape
    return np.array(
        [[math.sqrt(sum(float(x) ** 2 for x in image[:, i, j])) for j in range(width)] for i in range(height)]
    )


def root_of_share(values: np.ndarray, a: float, b: float) -> np.ndarray:
    """CroW, eq. 2, of a plane of values >= 0."""
    norm = sum(float(value) ** a for value in values.ravel()) ** (1 / a)
    return np.array([[(float(value) / norm) ** (1 / b) if value > 0 else 0.0 for value in row] for row in values])


def crow_channels(image: np.ndarray) -> np.ndarray:
    """CroW, eq. 3."""
    shares = [sum(1 for x in channel.ravel() if x != 0) / channel.size for channel in image]
    return np.array([math.log(sum(shares) / share) if share else 0.0 for share in shares])


def crow(maps: np.ndarray, a: float, b: float) -> np.ndarray:
    answer = []
    for image in maps:
        alpha, beta = root_of_share(channel_sums(image), a, b), crow_channels(image)
        answer.append([beta[c] * weighted_sum(image[c], alpha) for c in range(len(image))])
    return np.array(answer)


def weighted_sum(plane: np.ndarray, weights: np.ndarray) -> float:
    return sum(float(x) * float(w) for x, w in zip(plane.ravel(), weights.ravel(), strict=True))


def unit(values: Sequence[float]) -> list[float]:
    length = math.sqrt(sum(value**2 for value in values))
    return [value / length if length else 0.0 for value in values]


def scda_mask(image: np.ndarray) -> np.ndarray:
    """Wei et al., eq. 1 and algorithm 1, by flooding from each cell above the mean; 8 neighbours."""
    sums = channel_sums(image)
    height, width = sums.shape
    average = sum(sums.ravel().tolist()) / sums.size
    above = [(i, j) for i in range(height) for j in range(width) if sums[i, j] > average]
    seen: set[tuple[int, int]] = set()
    largest: set[tuple[int, int]] = set()
    for cell in above:
        flood, front = set(), [cell] if cell not in seen else []
        while front:
            i, j = front.pop()
            flood.add((i, j))
            around = [(i + down, j + right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
            front += [near for near in around if near in above and near not in flood and near not in front]
        seen |= flood
        if len(flood) > len(largest):
            largest = flood
    return np.array([[float(not largest or (i, j) in largest) for j in range(width)] for i in range(height)])


def scda(maps: np.ndarray) -> np.ndarray:
    answer = []
    for image in maps:
        mask = scda_mask(image)
        inside = [[float(x) for x, kept in zip(c.ravel(), mask.ravel(), strict=True) if kept] for c in image]
        answer.append(unit([sum(c) / len(c) for c in inside]) + unit([max(c) for c in inside]))
    return np.array(answer)


def pwa(maps: np.ndarray, proposals: Sequence[int], a: float, b: float) -> np.ndarray:
    answer = []
    for image in maps:
        row = []
        for n in proposals:
            weights = root_of_share(np.maximum(image[n], 0), a, b)
            row += [weighted_sum(channel, weights) for channel in image]
        answer.append(row)
    return np.array(answer)


def cam(maps: np.ndarray, classifier: np.ndarray, bias: np.ndarray, classes: int) -> np.ndarray:
    """Jimenez et al., offline: per class L2(beta * sum of CAM * x), summed over the image's top classes, L2."""
    answer = []
    for image in maps:
        means = [sum(float(x) for x in channel.ravel()) / channel.size for channel in image]
        scores = [sum(m * float(w) for m, w in zip(means, row, strict=True)) for row in classifier] + bias
        beta = crow_channels(image)
        total = np.zeros(len(image))
        for k in sorted(range(len(scores)), key=lambda k: -scores[k])[:classes]:
            activation = sum(
                float(w) * channel.astype(np.float64) for w, channel in zip(classifier[k], image, strict=True)
            )
            activation = np.maximum(activation, 0)
            activation = activation / activation.max() if activation.max() > 0 else activation
            total += unit([beta[c] * weighted_sum(image[c], activation) for c in range(len(image))])
        answer.append(unit(total.tolist()))
    return np.array(answer)


def looked_at_by_mac(image: np.ndarray) -> np.ndarray:
    """How many channels have their maximum in each cell, channels without any activation left out."""
    counts = np.zeros(image.shape[1:])
    for channel in image:
        if channel.max() > 0:
            i, j = divmod(int(channel.ravel().tolist().index(channel.max())), channel.shape[1])
            counts[i, j] += 1
    return counts


def looked_at_by_gem(image: np.ndarray, p: float) -> np.ndarray:
    """Mean over the channels that are alive of each cell's share in the sum of x^p."""
    shares = []
    for channel in image:
        powers = [max(float(x), 0.0) ** p for x in channel.ravel()]
        if sum(powers) > 0:
            shares.append([power / sum(powers) for power in powers])
    mean_shares = (
        [sum(column) / len(shares) for column in zip(*shares, strict=True)] if shares else [0.0] * channel.size
    )
    return np.array(mean_shares).reshape(image.shape[1:])


def fusion_early(queries: Sequence[np.ndarray], images: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Cosines (Q, N) of ``[w1 L2(f1); w2 L2(f2); ...]``; a zero vector has cosine 0 with all."""

    def joined(parts: Sequence[np.ndarray]) -> list[float]:
        together: list[float] = []
        for part, weight in zip(parts, weights, strict=True):
            length = math.sqrt(sum(float(x) ** 2 for x in part))
            together += [weight * float(x) / length if length else 0.0 for x in part]
        return together

    def cosine(a: list[float], b: list[float]) -> float:
        lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
        return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0

    asked, stored = ([joined(parts) for parts in zip(*side, strict=True)] for side in (queries, images))
    return np.array([[cosine(query, image) for image in stored] for query in asked])


def fusion_late(scores: Sequence[np.ndarray], weights: Sequence[float], how: str) -> np.ndarray:
    """Weighted sum; each row of each member brought to 0..1 ("minmax") or to mean 0 and deviation 1 ("znorm") first."""
    fused = np.zeros(scores[0].shape)
    for member, weight in zip(scores, weights, strict=True):
        for q, row in enumerate(member):
            values = [float(x) for x in row]
            if how == "minmax":
                offset, scale = min(values), max(values) - min(values)
            else:
                offset = sum(values) / len(values)
                scale = math.sqrt(sum((x - offset) ** 2 for x in values) / len(values))
            for n, x in enumerate(values):
                fused[q, n] += weight * (x - offset) / scale if max(values) > min(values) else 0.0
    return fused


def fusion_ranks(lists: Sequence[Sequence[int]], weights: Sequence[float], how: str, k: float = 60) -> list[float]:
    """Points of every image, from one list of images (best first) per member: "borda" or "rrf"."""
    points = [0.0] * len(lists[0])
    for images, weight in zip(lists, weights, strict=True):
        for place, image in enumerate(images, start=1):
            points[image] += weight * (len(images) + 1 - place if how == "borda" else 1 / (k + place))
    return points


def fusion_cascade(scores: Sequence[np.ndarray], weights: Sequence[float], depth: int, tau: float) -> list[list[int]]:
    """The list of the first member, its first `depth` images put in another order."""
    answer = []
    for q, first in enumerate(scores[0]):
        images = sorted(range(len(first)), key=lambda n: (-first[n], n))

        def gained(n: int, q: int = q) -> float:
            total = weights[0] * float(scores[0][q][n])
            for member, weight in zip(scores[1:], weights[1:], strict=True):
                total += weight * math.exp(-math.sqrt(max(0.0, 2 - 2 * float(member[q][n]))) / tau)
            return total

        answer.append(sorted(images[:depth], key=lambda n: (-gained(n), n)) + images[depth:])
    return answer


# encodings: `columns` (T, D) of one image, `shares` one number per column


def _length(vector: Sequence[float]) -> float:
    return math.sqrt(math.fsum(x * x for x in vector))


def _unit(vector: Sequence[float]) -> list[float]:
    length = _length(vector)
    return [x / length if length > 0 else 0.0 for x in vector]


def _root(vector: Sequence[float]) -> list[float]:
    return [math.copysign(math.sqrt(abs(x)), x) for x in vector]


def _distance2(x: Sequence[float], c: Sequence[float]) -> float:
    return math.fsum((a - b) ** 2 for a, b in zip(x, c, strict=True))


def _words(x: Sequence[float], centres: Sequence[Sequence[float]], count: int) -> list[int]:
    return sorted(range(len(centres)), key=lambda word: _distance2(x, centres[word]))[:count]


def bow(columns, shares, centres, idf) -> list[float]:
    histogram = [0.0] * len(centres)
    for x, share in zip(columns.tolist(), shares, strict=True):
        histogram[_words(x, centres.tolist(), 1)[0]] += share / len(columns)
    return _unit([count * weight for count, weight in zip(histogram, idf, strict=True)])


def word_residuals(columns, shares, centres, count=1) -> list[list[float]]:
    """Per word the sum of x - c over the columns that have it among their `count` nearest."""
    total = [[0.0] * columns.shape[1] for _ in centres]
    for x, share in zip(columns.tolist(), shares, strict=True):
        for word in _words(x, centres.tolist(), count):
            for d, centre in enumerate(centres[word].tolist()):
                total[word][d] += share * (x[d] - centre)
    return total


def vlad(columns, shares, centres, *, root: bool, intra: bool) -> list[float]:
    words = word_residuals(columns, shares, centres)
    words = [_root(word) for word in words] if root else words
    words = [_unit(word) for word in words] if intra else words
    return _unit([x for word in words for x in word])


def responsibilities(x, priors, means, variances) -> list[float]:
    logs = []
    for prior, mean, variance in zip(priors.tolist(), means.tolist(), variances.tolist(), strict=True):
        parts = [-0.5 * (a - m) ** 2 / v - 0.5 * math.log(v) for a, m, v in zip(x, mean, variance, strict=True)]
        logs.append(math.log(prior) + math.fsum(parts))
    top = max(logs)
    shares = [math.exp(log - top) for log in logs]
    return [share / math.fsum(shares) for share in shares]


def fisher(columns, shares, priors, means, variances, *, root: bool) -> list[float]:
    """Gradients by weights, means and deviations, one after the other."""
    by_weight, by_mean, by_deviation = [], [], []
    gammas = [responsibilities(x, priors, means, variances) for x in columns.tolist()]
    for k, prior in enumerate(priors.tolist()):
        seen = [(share, gamma[k], x) for share, gamma, x in zip(shares, gammas, columns.tolist(), strict=True)]
        by_weight.append(sum(share * (gamma - prior) for share, gamma, _ in seen) / math.sqrt(prior))
        for d, (mean, variance) in enumerate(zip(means[k].tolist(), variances[k].tolist(), strict=True)):
            z = [(share * gamma, (x[d] - mean) / math.sqrt(variance)) for share, gamma, x in seen]
            by_mean.append(sum(gamma * value for gamma, value in z) / math.sqrt(prior))
            by_deviation.append(sum(gamma * (value**2 - 1) for gamma, value in z) / math.sqrt(2 * prior))
    vector = [x / max(1, len(columns)) for x in by_weight + by_mean + by_deviation]
    return _unit(_root(vector) if root else vector)


def netvlad(columns, shares, weight, bias, centres) -> list[float]:
    words = [[0.0] * columns.shape[1] for _ in centres]
    for x, share in zip(columns.tolist(), shares, strict=True):
        logits = [
            math.fsum(a * b for a, b in zip(w, x, strict=True)) + b0
            for w, b0 in zip(weight.tolist(), bias.tolist(), strict=True)
        ]
        exps = [math.exp(logit - max(logits)) for logit in logits]
        for k, centre in enumerate(centres.tolist()):
            for d, c in enumerate(centre):
                words[k][d] += share * exps[k] / math.fsum(exps) * (x[d] - c)
    return _unit([x for word in words for x in _unit(word)])


def asmk(columns, shares, centres, *, count: int, binary: bool) -> list[list[float]]:
    """Per word a vector of length one, or zeros where the image has nothing to say about it."""
    words = word_residuals(columns, shares, centres, count)
    if binary:
        words = [[1.0 if x > 0 else -1.0 for x in word] if any(word) else word for word in words]
    return [_unit(word) for word in words]


def asmk_similarity(query, image, alpha: float, tau: float) -> float:
    """Of words as `asmk` gives them; -inf where one of the two shows none."""
    total = 0.0
    for ours, theirs in zip(query, image, strict=True):
        u = math.fsum(a * b for a, b in zip(ours, theirs, strict=True))
        if any(ours) and any(theirs) and u >= tau:
            total += u**alpha
    words = sum(any(word) for word in query) * sum(any(word) for word in image)
    return total / math.sqrt(words) if words else -math.inf


def rmac_grid(height: int, width: int, levels: int = 3) -> list[tuple[int, int, int]]:
    """Region by region as Tolias et al. published it: (y0, x0, side); a region without a position is left out."""
    side = min(height, width)
    choices = []
    for steps in range(2, 8):
        stride = (max(height, width) - side) / (steps - 1)
        choices.append((abs((side**2 - side * stride) / side**2 - 0.4), steps))
    best = choices[0]
    for choice in choices[1:]:
        if choice[0] < best[0]:
            best = choice
    more = best[1] - 1
    regions = []
    for level in range(1, levels + 1):
        length = math.floor(2 * side / (level + 1))
        half = math.floor(length / 2 - 1)
        starts = []
        for size, count in ((height, level + more * (height > width)), (width, level + more * (width > height))):
            stride = (size - length) / (count - 1) if count > 1 else 0.0
            starts.append([math.floor(half + i * stride) - half for i in range(count)])
        regions += [(y0, x0, length) for y0 in starts[0] for x0 in starts[1] if length > 0]
    return regions


def rmac(maps: np.ndarray, regions: Sequence[tuple[int, int, int]], mean=None, projection=None) -> np.ndarray:
    """The maximum over each region, L2, whitened and L2 again if asked, the sum, L2; (B, C)."""
    answer = []
    for image in maps:
        total = [0.0] * len(image)
        for y0, x0, side in regions:
            vector = unit(
                [max(float(c[y][x]) for y in range(y0, y0 + side) for x in range(x0, x0 + side)) for c in image]
            )
            if projection is not None and any(vector):
                centred = [x - float(m) for x, m in zip(vector, mean, strict=True)]
                vector = unit(
                    [math.fsum(float(p) * x for p, x in zip(row, centred, strict=True)) for row in projection]
                )
            total = [a + b for a, b in zip(total, vector, strict=True)]
        answer.append(unit(total))
    return np.array(answer)


def tiles(height: int, width: int, parts: int) -> set[tuple[int, int, int, int]]:
    """Boxes (x0, y0, x1, y1) of parts x parts tiles, their edges rounded to pixels, halves upwards."""

    def edge(length: int, part: int) -> int:
        return (2 * length * part + parts) // (2 * parts)  # round(length * part / parts) in whole numbers

    return {
        (edge(width, column), edge(height, row), edge(width, column + 1), edge(height, row + 1))
        for row in range(parts)
        for column in range(parts)
    }


def unit_patches(vectors: np.ndarray, counts: Sequence[int]) -> list[list[list[float]]]:
    """The patch vectors of each image, of length one; those of length zero left out."""
    images, row = [], 0
    for count in counts:
        patches = []
        for vector in vectors[row : row + count]:
            length = math.sqrt(math.fsum(float(x) ** 2 for x in vector))
            if length > 0:
                patches.append([float(x) / length for x in vector])
        images.append(patches)
        row += count
    return images


def combined_patches(how: str, vectors: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """Largest value, or sum, of each dimension over the patches of each image."""
    fold = {"max": max, "sum": math.fsum}[how]
    return np.array(
        [
            [fold([patch[d] for patch in patches]) if patches else 0.0 for d in range(vectors.shape[1])]
            for patches in unit_patches(vectors, counts)
        ]
    )


def patch_matching(
    queries: np.ndarray, query_counts: Sequence[int], images: np.ndarray, image_counts: Sequence[int]
) -> np.ndarray:
    """Minus the mean over query patches of the distance to the nearest patch of the image; -inf without patches."""
    scores = []
    for asked in unit_patches(queries, query_counts):
        row = []
        for held in unit_patches(images, image_counts):
            nearest = [min(math.dist(patch, other) for other in held) for patch in asked if held]
            row.append(-sum(nearest) / len(nearest) if nearest else -math.inf)
        scores.append(row)
    return np.array(scores)


def vlad_of_patches(patches: list[list[float]], centres: np.ndarray) -> list[float]:
    """Residuals of the patches summed at their nearest word, signed roots, each word and then all to length one."""

    def unit(values: list[float]) -> list[float]:
        length = math.sqrt(math.fsum(x * x for x in values))
        return [x / length for x in values] if length > 0 else values

    sums = [[0.0] * len(centres[0]) for _ in centres]
    for patch in patches:
        word = min(range(len(centres)), key=lambda k: math.dist(patch, [float(x) for x in centres[k]]))
        sums[word] = [s + x - float(c) for s, x, c in zip(sums[word], patch, centres[word], strict=True)]
    words = [unit([math.copysign(math.sqrt(abs(x)), x) for x in word]) for word in sums]
    return unit([x for word in words for x in word])


# What breaks it


def ranks_of_right_answers(order, labels, positive, junk):
    """Rank from 1 of each right answer, those of the labels `junk` not counted."""
    ranks, rank = [], 0
    for row in order:
        name = next((name for name, rows in labels.items() if row in rows), "wrong")
        if name in junk:
            continue
        rank += 1
        if name in positive:
            ranks.append(rank)
    return ranks


def pair_ranks(rankings, labels, known):
    """(query, image, rank among the negatives from 1, share of them behind it) of every pair."""
    rows = []
    for query, order in enumerate(rankings):
        labelled = {row for one in labels[query].values() for row in one}
        negatives = [row for row in order if row not in labelled]
        for image in known[query]["index"]:
            before = 0
            for row in order:
                if row == image:
                    break
                before += row in negatives
            rows.append((query, image, before + 1, (len(negatives) - before) / len(negatives)))
    return rows


def means_by_bin(factor, values, edges):
    """(count, mean) per bin of a factor; kinds of light go to day, overcast and night."""
    bins = [[] for _ in range(len(edges) + 1 if edges else 3)]
    for change, value in zip(factor, values, strict=True):
        if isinstance(change, str):
            bins[2 if "night" in change else 1 if "overcast" in change else 0].append(value)
        elif change is not None and change == change:
            bins[sum(change >= edge for edge in edges)].append(value)
    return [(len(one), sum(one) / len(one) if one else None) for one in bins]


# maps


def ranks_by_cosine(vectors, i):
    """Every other row's place among the neighbours of row i: 1 for the largest cosine, equal ones by index."""
    size = [math.sqrt(sum(float(value) ** 2 for value in row)) for row in vectors]

    def cosine(j):
        return sum(float(a) * float(b) for a, b in zip(vectors[i], vectors[j], strict=True)) / (size[i] * size[j])

    others = sorted((j for j in range(len(vectors)) if j != i), key=lambda j: (-cosine(j), j))
    return {j: place for place, j in enumerate(others, start=1)}


def nearest_in_plane(points, i, k):
    """The k points nearest to point i."""
    others = [j for j in range(len(points)) if j != i]
    return sorted(others, key=lambda j: math.dist(points[i], points[j]))[:k]


def trustworthiness(vectors, points, k):
    """Venna and Kaski 2001, equation 1."""
    count, total = len(vectors), 0
    for i in range(count):
        ranks = ranks_by_cosine(vectors, i)
        for j in nearest_in_plane(points, i, k):
            if ranks[j] > k:
                total += ranks[j] - k
    return 1 - 2 / (count * k * (2 * count - 3 * k - 1)) * total


def neighbour_agreement(vectors, points, k):
    """Share of the k nearest on the map that are among the k nearest in the descriptors."""
    kept = 0
    for i in range(len(vectors)):
        ranks = ranks_by_cosine(vectors, i)
        kept += sum(ranks[j] <= k for j in nearest_in_plane(points, i, k))
    return kept / (k * len(vectors))


def shared_neighbours(one, other, k):
    """Share of the k nearest on one map that are among the k nearest on the other."""
    pairs = [(set(nearest_in_plane(one, i, k)), set(nearest_in_plane(other, i, k))) for i in range(len(one))]
    return sum(len(first & second) for first, second in pairs) / (k * len(one))


# Looking into a method: places and pairs


def places_of_spoc(maps: np.ndarray) -> list[np.ndarray]:
    """What each place (row by row) of maps (C, H, W) adds to the mean of every channel."""
    height, width = maps.shape[1:]
    return [maps[:, i, j].astype(float) / (height * width) for i in range(height) for j in range(width)]


def places_of_crow(maps: np.ndarray, a: float = 2.0, b: float = 2.0) -> list[np.ndarray]:
    """What each place adds to CroW's vector: its column, weighed by position and by channel."""
    channels, height, width = maps.shape
    sums = [[sum(float(maps[c, i, j]) for c in range(channels)) for j in range(width)] for i in range(height)]
    norm = sum(value**a for row in sums for value in row) ** (1 / a) or 1.0
    used = [np.count_nonzero(maps[c]) / (height * width) for c in range(channels)]
    rare = np.array([math.log(sum(used) / share) if share else 0.0 for share in used])
    return [
        (sums[i][j] / norm) ** (1 / b) * rare * maps[:, i, j].astype(float) for i in range(height) for j in range(width)
    ]


def pairs_of_places(
    a: list[np.ndarray], b: list[np.ndarray], mean: np.ndarray | None = None, matrix: np.ndarray | None = None
) -> tuple[np.ndarray, float]:
    """Contribution (P, Q) of every pair of places to the cosine, whitened by ``(x - mean) @ matrix``, and the cosine.

    The mean is shared out over the places by their parts in the pooled vector, so that the pairs add up to the cosine.
    """
    whitened = []
    for places in (a, b):
        pooled = sum(places)
        length = math.sqrt(float(pooled @ pooled))
        parts = []
        for place in places:
            part = place / length
            if mean is not None:
                part = part - float(place @ pooled) / length**2 * mean
            parts.append(part if matrix is None else part @ matrix)
        whole = sum(parts)
        whitened.append([part / math.sqrt(float(whole @ whole)) for part in parts])
    table = np.array([[float(p @ q) for q in whitened[1]] for p in whitened[0]])
    return table, float(sum(whitened[0]) @ sum(whitened[1]))


def share_larger(first: list[float], second: list[float]) -> float:
    """How often a value of the first list exceeds one of the second; ties count half."""
    wins = 0.0
    for one in first:
        for other in second:
            wins += 1.0 if one > other else 0.5 if one == other else 0.0
    return wins / (len(first) * len(second))


def counted(values: list[float], edges: list[float]) -> list[int]:
    """How many values lie in each bin; the last bin holds its upper edge too."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        for place in range(len(counts)):
            last = place == len(counts) - 1
            if edges[place] <= value < edges[place + 1] or (last and value == edges[-1]):
                counts[place] += 1
    return counts
