// One node of Elasticsearch 7.10 in this process: java ElasticsearchOss path.home=DIR http.port=PORT [SETTING=VALUE ...]
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.Plugin;

public class ElasticsearchOss {
    /** Modules that a distribution loads from folders; here they are on the class path. */
    private static final List<Class<? extends Plugin>> MODULES = List.of(
        org.elasticsearch.analysis.common.CommonAnalysisPlugin.class,
        org.elasticsearch.index.mapper.MapperExtrasPlugin.class,
        org.elasticsearch.index.reindex.ReindexPlugin.class,
        org.elasticsearch.painless.PainlessPlugin.class,
        org.elasticsearch.transport.Netty4Plugin.class);

    /** The constructor that takes modules is protected. */
    private static class EmbeddedNode extends Node {
        EmbeddedNode(Settings settings, Path config, Collection<Class<? extends Plugin>> modules) {
            super(InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), config, () -> "test"), modules, false);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Settings.Builder settings = Settings.builder();
        for (String argument : arguments) {
            String[] parts = argument.split("=", 2);
            settings.put(parts[0], parts[1]);
        }
        Path config = Files.createDirectories(Path.of(settings.get("path.home"), "config"));
        Node node = new EmbeddedNode(settings.build(), config, MODULES).start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> Closing.close(node)));
        Thread.currentThread().join();
    }
}
