// Ends a node in order, so that what it holds is there at the next start.
final class Closing {
    static void close(AutoCloseable node) {
        try {
            node.close();
        } catch (Exception error) {
            error.printStackTrace();
        }
    }
}
