"""Every field of a config, with the paper's settings (supplement Sec. 1) on the embedded data set.

    python -m launch.train --config=configs/default.py --workdir=runs/default

trains the paper's 8-layer single-frame SRNet for 80 epochs: hours on a CPU. `configs/quickstart.py` takes minutes.
Change a field on the command line (--config.train.epochs=10) or in a small file like the others in this folder.
"""

from ml_collections import ConfigDict, config_dict


def _data() -> ConfigDict:
    data = ConfigDict()
    data.source = "synthetic"  # synthetic: the embedded set; h36m, mocap, mpi_inf_3dhp, mpi_inf_3dhp_train: files
    data.path = ""  # h36m: folder of data_3d_h36m.npz and data_2d_h36m_*.npz; mocap: .npz of joint positions,
    #   or a folder of such files;
    #   mpi_inf_3dhp: folder of the test set, TS1 to TS6; mpi_inf_3dhp_train: folder of S1 to S8
    data.keypoints = "gt"  # of h36m: gt, or a detector's name, as cpn_ft_h36m_dbb in data_2d_h36m_cpn_ft_h36m_dbb.npz
    data.annotation = "univ"  # of mpi_inf_3dhp*: univ, the skeleton of one height that the field reports, or metric
    data.num_frames = 200_000  # size of `synthetic`, frames over all cameras, 2,000 to 2,000,000
    data.seed = 0  # of the bodies and motions of `synthetic`
    data.fps = 30.0  # frames per second of a `mocap` file that does not say, for the record
    data.downsample = 1  # keep every n-th frame of each sequence

    data.cameras = cameras = ConfigDict()  # virtual cameras around the person, for `synthetic` and `mocap`
    cameras.number = 4
    cameras.distance_m = 5.2  # horizontal distance from the middle of the room, metres
    cameras.distance_spread = 0.1  # share of it by which each camera stands nearer or farther, at most
    cameras.height_m = 1.55  # above the floor, metres
    cameras.height_spread_m = 0.0  # by which each camera stands higher or lower, at most, metres
    cameras.target_height_m = 0.9  # height of the point that they look at, metres
    cameras.focal_px = 1145.0  # focal length, pixels
    cameras.width_px = 1000  # image size, pixels
    cameras.height_px = 1000
    cameras.seed = 0  # of the cameras' displacements

    data.detections = detections = ConfigDict()  # simulated detector, for any source; see srnet_jax/data/detections.py
    detections.simulate = False  # True: replace the 2D joints by these
    detections.sigma = 0.01  # noise of a joint of the torso, as a share of the person's size; limbs' ends have up to twice
    detections.outliers = 0.01  # share of joints that land anywhere in the person's box
    detections.swaps = 0.01  # share of frames with arms, and with legs, exchanged
    detections.missing = 0.01  # share of joints that stay where they were last seen
    detections.derived_joints = False  # True: pelvis, spine, thorax and the base of the skull lie where hips, shoulders and
    #   head put them, as with a detector that does not see them (srnet_jax/layouts.py)
    detections.seed = 0
    return data


def get_config() -> ConfigDict:
    """Return the default config."""
    config = ConfigDict()
    config.seed = 0  # of the weights, the order of samples and dropout
    config.parallel = "jit"  # how several devices share each batch: jit (XLA distributes) or pmap; the results are the same
    config.num_devices = 0  # devices that share each batch, of all processes; 0: all there are

    config.ensemble = ensemble = ConfigDict()  # several runs trained as one program, each in a folder of its own in the
    #   workdir and the same as if trained alone; every combination of what is given here. See the README
    ensemble.seeds = ()  # as (0, 1, 2): instead of config.seed
    ensemble.learning_rates = ()  # as (0.001, 0.002): instead of config.train.learning_rate
    ensemble.actions_train = ()  # as ("Walking", "Eating"), of cross_action: one run trained on each of these actions

    config.data = _data()  # what is trained on, and tested unless the protocol is cross_dataset
    config.test_data = _data()  # what cross_dataset tests on; other protocols do not read it

    config.protocol = protocol = ConfigDict()
    protocol.name = "subject"  # paper Sec. 4.2 and 4.3; all train on subjects_train and test on subjects_test:
    #   subject: no more; rare_pose: count the rarest test poses alone, the first of rare_percents;
    #   cross_action: train on some actions; cross_camera: train on some cameras, test on others;
    #   cross_dataset: test on config.test_data
    protocol.subjects_train = ("S1", "S5", "S6", "S7", "S8")
    protocol.subjects_test = ("S9", "S11")
    protocol.actions_train = ("Walking",)  # of cross_action, exact names
    protocol.cross_action_test = "others"  # others: the other actions of the test subjects; all: all their actions;
    #   all_subjects: train and test on ALL subjects, whatever the fields above say, as the official code does
    protocol.cameras_train = ("camera0", "camera1", "camera2")  # of cross_camera; in Human3.6M ("54138969", ...)
    protocol.cameras_test = ("camera3",)
    protocol.validation = "train_subjects"  # what chooses the best checkpoint: held-out recordings of the training
    #   subjects, or `test`: the test subjects, and training on everything (the official code; results say so)
    protocol.validation_fraction = 0.1  # share of the training recordings held out for `train_subjects`
    protocol.rare_percents = (20, 10)  # sizes of the rare subsets, percent of the test poses
    protocol.rare_ranking = "occurrence"  # occurrence: Eq. 10; exponential: the official filter_data.py, with sigma 200 or 500;
    #   mean_distance: the official list of infrequent poses, without sigma
    protocol.rare_sigma_mm = (100.0,)  # sigma of Eq. 9, millimetres, one or one for each joint; the paper gives none
    protocol.rare_reference = "train"  # pose set O of Eq. 10: train or test; the paper does not say
    protocol.rare_reference_step = 1  # take every n-th pose of the reference set; the official code 10

    config.model = model = ConfigDict()
    model.network = "sr"  # fc: fully connected, gp: group connected, lf: late fusion, es: early split, sfs: split, fuse,
    #   split, sr: split and recombine (paper Fig. 3); semgcn, lcn: graph networks that the paper compares with
    model.fuse_layer = 4  # L_fuse of lf: the first so many layers are split, the others fully connected (Eq. 7)
    model.split_layer = 4  # L_split of es: the first so many layers are fully connected, the others split (Eq. 8)
    model.link_layers = 2  # L_link of sfs: so many layers in the middle are fully connected, the others split
    model.split_layers = "group"  # what the split layers of lf, es and sfs are: group or split_recombine
    model.split_ends = True  # False: the first and the last layer of each network are fully connected, and the three numbers
    #   count the layers between them; so the paper's sfs has its 3.04 M parameters
    model.filter_widths = (1, 1, 1, 1)  # odd kernel sizes over time, two layers each; (1, 1, 1, 1) is the single-frame
    #   network of 8 layers, (3, 3, 3, 3, 3) has 10 layers and sees 243 frames
    model.channels = 1024  # total width of each hidden layer; of semgcn and lcn the features of each joint
    model.num_groups = 5  # body parts: 1, 2, 3, 5, 6, 8 or 17 (paper Fig. 6; `body_groups` in srnet_jax/skeleton.py)
    model.global_group = False  # True: one more group, of all joints; what it predicts is added to what the parts predict
    model.shuffled_groups = 0  # groups whose joints are exchanged at random: 0 or at least 2 (Table 5)
    model.shuffle_seed = 0  # of that
    model.root_in_every_group = True  # the official code's groups; False: the paper's disjoint partition
    model.recombine = "multiply"  # how context meets local features: multiply, add or concat (supplement Sec. 2)
    model.context_dim = config_dict.placeholder(object)  # H of Eq. 6: a whole number of features (0: no context), or
    model.context_dim = 1  #   with a decimal point a fraction of the group's width (0.25: 25 %, 1.0: 100 %)
    model.context_from = "others"  # context of a group: the other groups' features, or all
    model.context_form = "official"  # official: sigmoid(BatchNorm) or LeakyReLU, zero start; paper: the plain map of Eq. 6
    model.bug_compatible = False  # True: the official code's scrambled temporal context of concat, for its checkpoints
    model.adds_input = False  # True: add the 2D input to x and y, as the official code with the normalisation lcn
    model.normalization = "basic"  # of the input and the output (supplement Sec. 1):
    #   basic: VideoPose3D's, 2D over the image's width and 3D in metres; needs nothing but pixels and the image's size
    #   centered: 2D around the root, divided by the person's size in the image, for input from any camera; 3D as basic
    #   pixel: the LCN repository's, x and y of the output in screen coordinates too
    #   lcn, proj, weak_proj: the official code's. These four use the TRUE depth of the root at test time; tables say so.
    #   weak_proj is for comparison with the official code alone: its way back to metres is not the inverse of its way
    #   there, so that predictions and ground truth are distorted alike, by each joint's depth over the root's
    model.causal = False  # True: no frame after the output frame is seen
    model.activation = "leaky_relu"  # leaky_relu (slope 0.01) or relu
    model.dropout = 0.0  # rate after each activation
    model.hops = 3  # of lcn: a joint sees joints up to so many bones away
    model.non_local = True  # of semgcn: with non-local layers
    model.precision = "float32"  # of products and features: float32; tf32 (products, on a GPU); or bfloat16. Parameters,
    #   BatchNorm, loss and outputs are float32 in each

    config.train = train = ConfigDict()
    train.epochs = 80
    train.batch_size = 1024  # output frames in a step
    train.learning_rate = 1e-3  # AMSGrad's, in the first epoch
    train.lr_decay = 0.95  # factor on the learning rate after each epoch
    train.bn_momentum_start = 0.1  # weight of a new batch in BatchNorm's running statistics, in the first epoch ...
    train.bn_momentum_end = 0.001  # ... and, falling exponentially, after the last
    train.loss = "l1"  # l1: mean absolute coordinate error; mpjpe: mean joint distance
    train.flip = True  # add the mirror image of every sample
    train.camera_roll_share = 0.0  # share of the samples that are turned about the camera's optical axis, in 2D and in 3D,
    train.camera_roll_degrees = 180.0  # by a random angle of at most this, degrees
    train.data_on = "auto"  # where the training data lie: device, host (batches are gathered ahead), or auto: the device if
    #   they take at most half of its memory
    train.steps_per_call = 0  # steps that are compiled into one call; 0: 1 on a CPU, 32 elsewhere. A checkpoint within an
    #   epoch, or an interruption, waits for the end of a call
    train.max_gradient_norm = 1e6  # stop, keeping the last checkpoint, when the gradient's norm exceeds this (usual: below 50);
    #   0: only when it is infinite or not a number
    train.checkpoint_minutes = 10.0  # minutes between checkpoints within an epoch, beside the one after it; 0: none within
    train.keep_latest = 2  # newest checkpoints kept
    train.keep_best = 1  # checkpoints with the lowest validation error kept
    train.on_full_disk = "continue"  # when a checkpoint cannot be written for want of space: continue, with a warning and
    #   another attempt at the next one; or stop. What was written before is kept either way
    train.tensorboard = False  # also write TensorBoard events (needs the extra `tensorboard`)

    config.evaluate = evaluate = ConfigDict()
    evaluate.flip = True  # average each pose with the mirrored pose of the mirrored input
    evaluate.batch_frames = 4096  # output frames predicted at a time; bounds the memory
    return config
